"""The reference of the settings: the variables of `pregao.settings`, and those that parts read themselves."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from pregao.settings import QUIET, Settings

_HEAD = """\
# Settings

Settings are environment variables, read once when a process begins. What cannot be used is named, with the reason.
What a model learns from and is judged by is no setting: it stands in `params.yaml`, whose every line says what it is.

| variable | default | what |
|---|---|---|
"""
_OTHERS = """
## Read where they are used

Secrets are read from the environment only where they are used, and are never written to a journal, a log or a page.

| variable | what |
|---|---|
"""
OTHERS = {
    "PREGAO_PANEL_TOKEN": "A token that opens the panel to a script, besides those of `pregao token`",
    "PREGAO_CCXT_<EXCHANGE>_KEY": "Key of an account at an exchange; history and prices need none",
    "PREGAO_CCXT_<EXCHANGE>_SECRET": "Its secret",
    "PREGAO_CCXT_<EXCHANGE>_PASSWORD": "Its password, where the exchange asks for one",
    "PREGAO_CCXT_<EXCHANGE>_URL": "Where the exchange's API is, in place of its own hosts: a gateway",
    "PREGAO_REAL_MONEY": "`allowed`: the first of the two permissions without which no order is sent to a real account",
    "PREGAO_YAHOO_URL": "Where Yahoo's hosts are found instead of at their own: a gateway",
    "PREGAO_CHROMIUM": "The browser of `pregao demo --check`",
    "PREFECT_API_URL": "The Prefect server, if it is not the one of `pregao up`",
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL": "Of a DVC remote in S3, or what speaks like it",
}
_QUIET = """
## Nothing phones home

These are set in every process before a library is imported, unless you set them yourself:

"""


def page() -> str:
    """The page as Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default if field.default is not PydanticUndefined else ""
        shown = f"`{default}`" if default not in ("", None) else "–"
        rows.append(f"| `PREGAO_{name.upper()}` | {shown} | {field.description or name.replace('_', ' ')} |\n")
    others = [f"| `{name}` | {what} |\n" for name, what in OTHERS.items()]
    quiet = [f"- `{name}={value}`\n" for name, value in QUIET.items()]
    return "".join((_HEAD, *rows, _OTHERS, *others, _QUIET, *quiet))
