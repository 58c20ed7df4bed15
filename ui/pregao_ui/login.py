"""The page that asks for the password: no script, no file from anywhere, in the browser's language."""

from __future__ import annotations

import hashlib
from base64 import b64encode

_STYLE = """:root{color-scheme:light dark;--bg:#f4f6f8;--panel:#fff;--line:#8b96a3;--edge:#dde3e9;--ink:#14191f;
--dim:#56626f;--bad:#b42334;--go:#1f5fd1;--on:#fff}
@media(prefers-color-scheme:dark){:root{--bg:#0b0e13;--panel:#11161d;--line:#5d6b7a;--edge:#1e2630;
--ink:#dbe2ea;--dim:#8b98a6;--bad:#ff8b96;--go:#6ea3ff;--on:#07111f}}*{box-sizing:border-box}
body{background:var(--bg);color:var(--ink);font:16px/1.4 "IBM Plex Sans",system-ui,sans-serif;display:grid;
place-items:center;min-height:100vh;margin:0}
form{display:grid;gap:8px;width:min(340px,92vw);padding:28px;background:var(--panel);
border:1px solid var(--edge);border-radius:8px}h1{margin:0;font-size:22px;letter-spacing:.01em}p{margin:0}
.lead{color:var(--dim);font-size:14px;margin-bottom:12px}label{font-size:14px;color:var(--dim)}
input,button{font:inherit;min-height:44px;padding:8px 12px;border-radius:4px;width:100%;
border:1px solid var(--line);background:var(--bg);color:inherit}input[aria-invalid]{border-color:var(--bad)}
button{margin-top:12px;background:var(--go);border-color:var(--go);color:var(--on);font-weight:700;cursor:pointer}
p[role=alert]{color:var(--bad);font-size:14px}:focus-visible{outline:2px solid var(--go);outline-offset:2px}"""
STYLE_HASH = "'sha256-" + b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode() + "'"
POLICY = f"default-src 'none'; style-src {STYLE_HASH}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
"""The page's own policy: nothing at all but its style and its form."""

_TEXTS = {
    "en": {
        "title": "Log in",
        "lead": "This panel is locked. Its password opens it for a week.",
        "password": "Password",
        "enter": "Enter",
        "wrong": "That is not the password.",
        "wait": "Too many guesses. Try again in {seconds} seconds.",
        "none": "No password is set. Set one where Pregão runs: pregao password",
    },
    "pt-BR": {
        "title": "Entrar",
        "lead": "Este painel está trancado. A senha o abre por uma semana.",
        "password": "Senha",
        "enter": "Entrar",
        "wrong": "A senha não é esta.",
        "wait": "Tentativas demais. Tente de novo em {seconds} segundos.",
        "none": "Nenhuma senha foi definida. Defina uma onde o Pregão roda: pregao password",
    },
}


def page(language: str, said: str = "", seconds: int = 0) -> str:
    """The page; ``said`` is the key of what went wrong, told under the field that it is about."""
    words = _TEXTS[language]
    alert, wrong = "", ""
    if said:
        alert = f'<p role="alert" id="said">{words[said].format(seconds=seconds)}</p>'
        wrong = ' aria-invalid="true" aria-describedby="said"'
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Pregão: {words["title"]}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f'<main><form method="post" action="/login"><h1>Pregão</h1><p class="lead">{words["lead"]}</p>'
        f'<label for="password">{words["password"]}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" autofocus required'
        f"{wrong}>"
        f"{alert}<button>{words['enter']}</button></form></main></body></html>"
    )
