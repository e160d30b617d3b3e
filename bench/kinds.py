"""One photograph through the URL of the current deployment, cold and warm, and what a million such requests cost.

    ENV=local python -m bench.kinds [IMAGE] [--warm N] [--idle SECONDS] [--rate REQUESTS_AN_HOUR]

Run it once for each `endpoint.kind` after `make apply`. Each run replaces its row in bench/kinds.json and prints all
rows. The function is made cold by another memory size of `$LATEST`, which has no warm environment; the alias and its
version stay as they are. A serverless endpoint is cold after `--idle` seconds without a request. Under a local AWS
with LOCALAWS_TIME_SCALE=60, whose containers stop after 5 seconds, `--idle 10` is enough.

The times are those of this machine, the prices AWS's. A processor of AWS has another speed.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from deploy import call_prices, environment, function
from deploy.deployment import IN_FUNCTION, INSTANCES, SERVERLESS, Deployment
from deploy.terraform import Stack

RESULTS = Path(__file__).parent / "kinds.json"
TRIES = 10
INSTANCE_HOUR = 0.115  # ml.m5.large in classifier/prices.py


def cold_function(deployment: Deployment, question: bytes) -> dict[str, float]:
    """Milliseconds until a new environment has a prediction, and those of its start, from Lambda's REPORT line.

    A serverless container that starts too slowly refuses the first requests. `cold_requests` counts them all.
    """
    client = deployment.client("lambda", read_timeout=120)
    name, start, tries = deployment.function_name, None, 0
    memory = client.get_function_configuration(FunctionName=name)["MemorySize"]
    try:
        client.update_function_configuration(FunctionName=name, MemorySize=memory + 1)
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        began = time.perf_counter()
        while True:
            tries += 1
            answer = client.invoke(FunctionName=name, Payload=question, LogType="Tail")
            log = base64.b64decode(answer["LogResult"]).decode()
            start = start or re.search(r"Init Duration: ([\d.]+) ms", log)
            told = json.loads(answer["Payload"].read())
            if "predictions" in told:
                break
            if tries == TRIES:
                raise SystemExit(f"There is no prediction after {TRIES} requests: {told}")
        spent = (time.perf_counter() - began) * 1000
    finally:
        client.update_function_configuration(FunctionName=name, MemorySize=memory)
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
    return {"cold_ms": spent, "start_ms": float(start[1]) if start else 0.0, "cold_requests": tries}


def warm(deployment: Deployment, question: bytes, picture: bytes, kind: str, count: int) -> dict[str, float]:
    """Median milliseconds of a request to the URL, of a call in the function, and of the model's part of it."""
    client = deployment.client("lambda")
    requests, calls, models = [], [], []
    for _ in range(count + 1):  # the first one warms the environment
        began = time.perf_counter()
        status, body = function.ask(deployment, picture, kind)
        requests.append((time.perf_counter() - began) * 1000)
        assert status == 200, body
        answer = client.invoke(
            FunctionName=deployment.function_name,
            Qualifier=deployment.function_alias,
            Payload=question,
            LogType="Tail",
        )
        log = base64.b64decode(answer["LogResult"]).decode()
        calls.append(float(re.search(r"\tDuration: ([\d.]+) ms|Duration: ([\d.]+) ms", log)[0].split()[1]))
        models.append(float(re.search(r'"(?:endpoint|model)_ms": ([\d.]+)', log)[1]))
    figures = {"warm_ms": requests, "call_ms": calls, "model_ms": models}
    return {name: statistics.median(values[1:]) for name, values in figures.items()}


def price(kind: str, row: dict, configuration: dict, rate: float) -> dict[str, float]:
    """USD for a million requests at `rate` an hour, and for an hour without requests."""
    architecture = configuration["Architectures"][0]
    total = call_prices.function(configuration["MemorySize"], row["call_ms"], architecture)
    if kind == SERVERLESS:
        total += call_prices.serverless(row["memory_mb"], row["model_ms"], row["request_bytes"], row["answer_bytes"])
    if kind == INSTANCES:
        total += call_prices.instances(INSTANCE_HOUR, 1, row["request_bytes"], row["answer_bytes"])
    return {"usd_per_million": total.million(rate), "usd_idle_hour": total.hour, "rate_an_hour": rate}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one photograph through the URL of the current deployment.")
    parser.add_argument("image", nargs="?", help="a photograph; default: one of the sample")
    parser.add_argument("--warm", type=int, default=20, help="warm requests")
    parser.add_argument("--idle", type=float, default=0, help="seconds without a request before the cold ones")
    parser.add_argument("--rate", type=float, default=3600, help="requests an hour, for the price of instances")
    options = parser.parse_args()
    deployment = Stack(environment.current()).require_deployment()
    kind = deployment.endpoint_kind
    picture, content_type = function.payload(options.image)
    question = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    configuration = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.function_name, Qualifier=deployment.function_alias
    )
    time.sleep(options.idle)
    row: dict = {"request_bytes": len(picture), "memory_mb": configuration["MemorySize"]}
    if kind == SERVERLESS:
        endpoint = deployment.client("sagemaker").describe_endpoint(EndpointName=deployment.endpoint_name)
        row["memory_mb"] = endpoint["ProductionVariants"][0]["CurrentServerlessConfig"]["MemorySizeInMB"]
    row |= cold_function(deployment, question)
    row |= warm(deployment, question, picture, content_type, options.warm)
    answer = json.loads(function.ask(deployment, picture, content_type)[1])
    row["answer_bytes"] = len(json.dumps(answer))
    row |= price(kind, row, configuration, options.rate)
    row |= {"label": answer["predictions"][0]["label"], "probability": answer["predictions"][0]["probability"]}
    row |= {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine.describe()}
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows[kind] = row
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)


def show(rows: dict[str, dict]) -> None:
    """The rows as a Markdown table."""
    head = (
        "kind",
        "answer",
        "cold, ms",
        "start of the function, ms",
        "warm, ms",
        "model, ms",
        "$ a million",
        "$ idle hour",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for kind in (INSTANCES, SERVERLESS, IN_FUNCTION):
        if row := rows.get(kind):
            times = [f"{row[name]:,.0f}" for name in ("cold_ms", "start_ms", "warm_ms", "model_ms")]
            answer = f"{row['label']} {row['probability']:.4f}"
            prices = [f"{row['usd_per_million']:.2f}", f"{row['usd_idle_hour']:.3f}"]
            print(f"| {' | '.join([kind, answer, *times, *prices])} |")


if __name__ == "__main__":
    main()
