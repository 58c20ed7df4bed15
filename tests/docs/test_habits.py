"""What people are asked for when they report or change something, and the shape of the changelog."""

from __future__ import annotations

import ast
import re

import yaml
from pages import ROOT

from pregao import __version__

TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"


def test_a_report_of_a_bug_asks_for_what_the_doctor_says() -> None:
    """That it holds no secret is held by tests/operations/test_doctor.py."""
    form = yaml.safe_load((TEMPLATES / "bug.yml").read_text(encoding="utf-8"))
    [doctor] = [one for one in form["body"] if one.get("id") == "doctor"]
    assert "pregao doctor" in doctor["attributes"]["label"]
    assert doctor["validations"]["required"]


def test_each_template_is_a_form_that_can_be_filled_in() -> None:
    for path in TEMPLATES.glob("*.yml"):
        if path.name != "config.yml":
            form = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert {"name", "description", "body"} <= form.keys(), path.name
            names = [one["id"] for one in form["body"]]
            assert len(names) == len(set(names)), path.name


def test_the_changelog_is_kept_as_it_says() -> None:
    """Keep a Changelog: releases newest first, what comes next above them, and only its six kinds of change."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", release) for release in releases[1:])
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


SOURCES = [
    path
    for folder in ("platform", "flows", "ui", "plugins", "tests", "benchmarks", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stat().st_size and not {"build", "node_modules"} & set(path.parts)
]
SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}


def test_each_module_says_in_its_first_line_what_it_is_for_and_has_a_name_that_says_something() -> None:
    assert len(SOURCES) > 500
    silent = []
    for path in SOURCES:
        told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
        if len(told.split()) < 3 or path.stem in SAY_NOTHING:
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []
