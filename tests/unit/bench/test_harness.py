"""The harness, with candidates whose figures are known."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import machine, results
from bench.harness import BenchError, BenchmarkCandidate, Comparison, compare

MADE = "tests.unit.bench.candidates"


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[Comparison, list[str]]:
    log = tmp_path_factory.mktemp("bench") / "log"
    candidates = [
        BenchmarkCandidate("slow", f"{MADE}:counting", {"start": 10, "step": 10, "log": str(log)}),
        BenchmarkCandidate("fast", f"{MADE}:counting", {"start": 40, "step": 10, "log": str(log)}, env={"SEEN": "yes"}),
    ]
    done = compare("made", candidates, unit="images/s", repeats=3, target=2)
    return done, log.read_text().splitlines()


def test_candidates_take_turns_in_separate_processes_that_are_closed(measured):
    _, log = measured
    assert [line.split()[0] for line in log[:6]] == ["10", "40"] * 3
    processes = [line.split()[1] for line in log[:6]]
    assert (len(set(processes)), processes[0], processes[1]) == (2, processes[2], processes[3])
    assert sorted(log[6:]) == ["closed 10", "closed 40"]


def test_a_ratio_is_computed_within_its_round(measured):
    done, _ = measured
    assert done.values == {"slow": [10, 20, 30], "fast": [40, 50, 60]}
    assert done.ratios("fast") == [4, 2.5, 2]
    assert done.to_json()["candidates"]["fast"]["ratio"] == {
        "median": 2.5,
        "low": 2,
        "high": 4,
        "values": [4, 2.5, 2],
        "of_best": 2,
    }
    assert [detail["seen"] for detail in done.details["fast"]] == ["yes"] * 3


def test_a_shorter_time_is_better():
    done = Comparison("made", "s", False, "slow", "fast", {"slow": [9.0], "fast": [3.0]}, {"slow": [], "fast": []})
    assert done.ratios("fast") == [3]


def test_a_candidate_that_fails_is_named_with_its_last_output():
    with pytest.raises(BenchError, match=r"bad .*:failing\) could not be measured:\n.*out of luck"):
        compare("made", [BenchmarkCandidate("bad", f"{MADE}:failing")], unit="s", repeats=1)


def test_results_are_saved_per_comparison_and_shown_in_the_documents(measured, tmp_path, monkeypatch):
    done, _ = measured
    documents = {"BENCHMARKS": tmp_path / "BENCHMARKS.md", "README": tmp_path / "README.md"}
    for name, path in documents.items():
        path.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
        monkeypatch.setattr(results, name, path)
    other = Comparison("other", "s", False, "a", "b", {"a": [9.0], "b": [3.0]}, {"a": [], "b": []}, note="Said so.")
    for comparison in (done, other, done):
        results.save("made", [comparison], tmp_path)
    kept = json.loads((tmp_path / "made.json").read_text())["comparisons"]
    assert [each["what"] for each in kept] == ["made", "other"]
    assert kept[0]["machine"] == machine.describe()

    results.update_documents(tmp_path)
    lines = documents["BENCHMARKS"].read_text().splitlines()
    assert "| made | fast: 50 images/s | slow: 20 images/s | **2** | 2.5 (2 to 4) | 2 |" in lines
    assert "| other [1] | b: 3 s | a: 9 s | **3** | 3 (3 to 3) |  |" in lines
    assert "[1] Said so." in lines
    for path in documents.values():
        lines = path.read_text().splitlines()
        assert (lines[0], lines[-1], "old" in lines) == ("before", "after", False)


def test_the_readme_gets_the_headlines_that_are_named(measured, tmp_path):
    done, _ = measured
    results.save("made", [done, replace(done, what="other", target=None)], tmp_path)
    rows = results.summary(tmp_path, ["other", "never measured", "made"]).splitlines()[2:]
    assert rows == [
        "| other | fast: 50 images/s | slow: 20 images/s | 2 |  |",
        "| made | fast: 50 images/s | slow: 20 images/s | 2 | 2 |",
    ]


def test_with_results_of_several_machines_each_row_names_its_machine(measured, tmp_path, monkeypatch):
    done, _ = measured
    results.save("made", [done], tmp_path)
    here = machine.describe()
    monkeypatch.setattr(machine, "describe", lambda: here | {"cpu": "Another"})
    results.save("other", [replace(done, what="again")], tmp_path)
    rows = results.table(tmp_path).splitlines()
    assert rows[0].endswith("| promised | machine |")
    letter = re.compile(r"([AB]): Another").search(rows[-1])[1]
    assert next(row for row in rows if row.startswith("| again |")).endswith(f"| {letter} |")
    assert not next(row for row in rows if row.startswith("| made |")).endswith(f"| {letter} |")

    results.save("made", [done], tmp_path)  # on the other machine: the first one keeps its row
    machines = [row[-3] for row in results.table(tmp_path).splitlines() if row.startswith("| made |")]
    assert sorted(machines) == ["A", "B"]
    monkeypatch.setattr(machine, "describe", lambda: here | {"python": "4.0"})
    results.save("made", [done], tmp_path)  # again on the first one
    assert [each["what"] for each in results.read(tmp_path)] == ["made", "made", "again"]


@pytest.mark.parametrize(("document", "text"), [(results.BENCHMARKS, results.table), (results.README, results.summary)])
def test_the_documents_show_the_saved_results(document: Path, text):
    shown = document.read_text().partition(results.BEGIN)[2].partition(results.END)[0].strip()
    assert shown == text().strip()


def test_every_comparison_that_the_readme_names_was_measured():
    assert {each["what"] for each in results.read()} >= set(results.IN_README)


def test_the_machine_is_named():
    found = machine.describe()
    assert found["cores"] >= 1
    assert found["libraries"]["torch"]
    assert f"{found['cores']} cores" in machine.in_words(found)
