"""The examples' own test can fail: what does not run, or prints something else, is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import blocks, command_lines, run_page

RUNS = """\
```python
a = 1
print("one", a)
```

```text
…
one   1
```

```sh run
echo two; echo three
```

```text
two
three
```

```sh
PREGAO_HOME=x pregao data \\
    list --json   # shown only
false
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(RUNS)
    return path


def test_what_is_true_passes(page: Path, tmp_path: Path) -> None:
    assert run_page(page, tmp_path) == 2
    assert [block.line for block in blocks(page)] == [1, 6, 11, 15, 20]
    assert list(command_lines(page)) == [(20, ["data", "list", "--json"])]


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("one   1", "one 2"),
        ("two\nthree", "three\ntwo"),
        ("echo two;", "exit 3;"),
        ("a = 1", "a = 1; assert a == 2"),
    ],
)
def test_what_is_not_true_fails(page: Path, tmp_path: Path, true: str, false: str) -> None:
    page.write_text(RUNS.replace(true, false))
    with pytest.raises(AssertionError):
        run_page(page, tmp_path)
