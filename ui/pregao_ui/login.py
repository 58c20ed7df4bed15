"""The page that asks for the password: no script, no file from anywhere, in the browser's language."""

from __future__ import annotations

import hashlib
from base64 import b64encode

_STYLE = """:root{color-scheme:light dark;--bg:#f5f7f9;--panel:#fff;--line:#d5dce4;--ink:#14191f;--bad:#b42334;
--go:#1f5fd1;--on:#fff}@media(prefers-color-scheme:dark){:root{--bg:#0b0e13;--panel:#11161d;--line:#2a3542;--ink:#dbe2ea;--bad:#ff8b96;
--go:#6ea3ff;--on:#07111f}}body{background:var(--bg);color:var(--ink);font:16px system-ui,sans-serif;display:grid;
place-items:center;min-height:100vh;margin:0}form{display:grid;gap:12px;width:min(280px,88vw)}
input,button{font:inherit;padding:10px 12px;border-radius:4px;border:1px solid var(--line);background:var(--panel);
color:inherit}button{background:var(--go);border-color:var(--go);color:var(--on);font-weight:700;cursor:pointer}
p{margin:0}p[role=alert]{color:var(--bad)}:focus-visible{outline:2px solid var(--go);outline-offset:2px}"""
STYLE_HASH = "'sha256-" + b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode() + "'"
POLICY = f"default-src 'none'; style-src {STYLE_HASH}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""The page's own policy: nothing at all but its style and its form."""

_TEXTS = {
    "en": {
        "password": "Password",
        "enter": "Enter",
        "wrong": "That is not the password.",
        "wait": "Too many guesses. Try again in {seconds} seconds.",
        "none": "No password is set. Set one where Pregão runs: pregao password",
    },
    "pt-BR": {
        "password": "Senha",
        "enter": "Entrar",
        "wrong": "A senha não é esta.",
        "wait": "Tentativas demais. Tente de novo em {seconds} segundos.",
        "none": "Nenhuma senha foi definida. Defina uma onde o Pregão roda: pregao password",
    },
}


def page(language: str, said: str = "", seconds: int = 0) -> str:
    """The page; ``said`` is the key of what went wrong."""
    words = _TEXTS[language]
    alert = f'<p role="alert">{words[said].format(seconds=seconds)}</p>' if said else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Pregão</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f'<main><form method="post" action="/login"><h1>Pregão</h1><label for="password">{words["password"]}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" autofocus required>'
        f"{alert}<button>{words['enter']}</button></form></main></body></html>"
    )
