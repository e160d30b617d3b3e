"""The tables in the Terraform READMEs, and the reader that makes them from the .tf files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import terraform_docs
from tools.terraform_docs import BEGIN, END, DocsError, read_blocks, readmes, tables, updated

TRICKY = """
# variable "commented" { type = string }
/* variable "also" {
} */
variable "first" { // a comment with a brace {
  description = "Braces } and \\"quotes\\" and $${not a template}."
  type = object({ # the type
    name = string
    size = optional(number, 1)
  })
  nullable = true

  validation {
    condition     = var.first != null && can(regex("^[a-z}]{2,}$", var.first.name))
    error_message = <<-EOT
      default = "not an attribute } of the variable"
    EOT
  }
}

resource "aws_s3_bucket" "variable" {
  bucket = "x"
}

variable "second" {
  type        = map(string)
  default     = { a = "1" }
  description = "A | pipe, ml.g* and `a_*b`."
}

locals { description = "no" }

output "third" {
  description = "What comes out."
  value       = { for key, value in var.second : key => "${upper("}\\"")}${value}" }
}
"""


def test_every_table_is_up_to_date():
    stale = [str(path.relative_to(ROOT)) for path in readmes() if updated(path) != path.read_text()]
    assert stale == [], "Write the tables again: make docs"


def test_every_variable_and_output_of_a_folder_is_read():
    for readme in readmes():
        text = "\n".join(path.read_text() for path in sorted(readme.parent.glob("*.tf")))
        written = re.findall(r'^(variable|output) "(\w+)" \{', text, flags=re.MULTILINE)
        assert [
            (block.kind, block.name) for block in read_blocks(text) if block.kind in ("variable", "output")
        ] == written


def test_the_reader_knows_strings_templates_comments_and_heredocs():
    blocks = read_blocks(TRICKY)
    assert [(block.kind, block.name) for block in blocks] == [
        ("variable", "first"),
        ("variable", "second"),
        ("output", "third"),
    ]
    first, second, third = blocks
    assert list(first.attributes) == ["description", "type", "nullable"]
    assert first.attributes["type"] == "object({\n    name = string\n    size = optional(number, 1)\n  })"
    assert first.description.endswith("and ${not a template}.")
    assert second.attributes["default"] == '{ a = "1" }'
    assert third.description == "What comes out."


def test_a_table_marks_what_is_required_and_escapes_what_markdown_would_read():
    text = tables(read_blocks(TRICKY))
    assert (
        "| `first` | <pre>object({<br>  name = string<br>  size = optional(number, 1)<br>})</pre> | **required** |"
        in text
    )
    assert '| `second` | `map(string)` | `{ a = "1" }` | A \\| pipe, ml.g\\* and `a_*b`. |' in text
    assert "| `third` | What comes out. |" in text


@pytest.mark.parametrize(
    "text",
    [
        'variable "a" {\n  type = object({\n}\n',
        'variable "a" {\n  default = "open\n}\n',
        "}",
        "/* open",
    ],
)
def test_what_does_not_end_is_an_error_and_not_a_shorter_table(text):
    with pytest.raises(DocsError):
        read_blocks(text)


@pytest.mark.parametrize("attribute", ["", 'description = "a ${b}" == "c" ? 1 : 2', "description = local.text"])
def test_a_variable_needs_a_description_that_can_be_read(attribute):
    with pytest.raises(DocsError, match="lonely"):
        tables(read_blocks(f'variable "lonely" {{\n  {attribute}\n}}\n'))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root stack without variables, and one module whose table is not written yet."""
    module = tmp_path / "terraform" / "modules" / "one"
    module.mkdir(parents=True)
    (tmp_path / "terraform" / "README.md").write_text(f"# Root\n\n{BEGIN}\n\n{END}\n")
    (module / "README.md").write_text(f"# One\n\n{BEGIN}\n{END}\n\nThe end.\n")
    (module / "inputs.tf").write_text('variable "a" {\n  description = "A."\n  type        = string\n}\n')
    monkeypatch.setattr(terraform_docs, "ROOT", tmp_path)
    monkeypatch.setattr(terraform_docs, "readmes", lambda: readmes(tmp_path / "terraform"))
    return module


def test_check_fails_until_the_tables_are_written_and_writes_nothing(folder, capsys):
    before = (folder / "README.md").read_text()
    assert terraform_docs.main(["--check"]) == 1
    assert "terraform/modules/one/README.md" in capsys.readouterr().err
    assert (folder / "README.md").read_text() == before

    assert terraform_docs.main([]) == 0
    written = (folder / "README.md").read_text()
    assert "| `a` | `string` | **required** | A. |" in written
    assert written.startswith("# One\n\n") and written.endswith(f"{END}\n\nThe end.\n")
    assert terraform_docs.main(["--check"]) == 0

    (folder / "inputs.tf").write_text('variable "b" {\n  description = "B."\n}\n')
    assert terraform_docs.main(["--check"]) == 1


def test_a_folder_without_a_readme_or_markers_is_named(folder, capsys):
    (folder / "README.md").write_text("# One\n")
    assert terraform_docs.main([]) == 1
    assert BEGIN in capsys.readouterr().err
    (folder / "README.md").unlink()
    assert terraform_docs.main(["--check"]) == 1
    assert "has no README.md" in capsys.readouterr().err
