"""The look: one palette, given to Gradio's theme and, as ``--pg-*`` variables, to our own styles and the chart.

Calm by intent: colour is kept for what gained, what lost and what can be pressed. Everything is on this
machine: the font files ship in Gradio's wheel.
"""

from __future__ import annotations

from typing import Any

from gradio.themes.utils import colors, fonts, sizes

from pregao_ui.fast_gradio import gr

LIGHT = {
    "bg": "#f4f5f7",
    "panel": "#ffffff",
    "raised": "#f6f7f9",
    "field": "#ffffff",
    "line": "#dfe3e8",
    "text": "#16202c",
    "muted": "#5a6878",
    "faint": "#657180",
    "accent": "#2458c6",
    "accent_hover": "#1c49a8",
    "accent_soft": "#e8eefb",
    "on_accent": "#ffffff",
    "up": "#0a7455",
    "down": "#c22f44",
    "up_soft": "#dff2ec",
    "down_soft": "#fbe6e9",
    "warn": "#8a5a00",
    "warn_soft": "#fbf1dc",
    "grid": "#eef0f3",
}
DARK = {
    "bg": "#0b0e13",
    "panel": "#11161d",
    "raised": "#171d26",
    "field": "#0c1117",
    "line": "#212a35",
    "text": "#dbe2ea",
    "muted": "#8c99a8",
    "faint": "#7d8a99",
    "accent": "#6ea3ff",
    "accent_hover": "#8db6ff",
    "accent_soft": "#16243a",
    "on_accent": "#07111f",
    "up": "#35b58d",
    "down": "#ef6673",
    "up_soft": "#11291f",
    "down_soft": "#311a1f",
    "warn": "#e0b25a",
    "warn_soft": "#2b2414",
    "grid": "#181f29",
}

LINES = ("#4f86f7", "#e0913a", "#2fa98c", "#c765c9", "#d9596a", "#8a93a3", "#8f7cf0", "#a3a13a")
"""Lines of several sessions in one chart; told apart in light and dark, and by most who see colours otherwise."""

# Theme tokens by the palette colour they take, in light and dark alike.
_TOKENS: dict[str, tuple[str, ...]] = {
    "bg": ("body_background_fill",),
    "text": (
        "body_text_color",
        "block_title_text_color",
        "table_text_color",
        "accordion_text_color",
        "checkbox_label_text_color",
        "checkbox_label_text_color_selected",
        "button_secondary_text_color",
    ),
    "muted": ("body_text_color_subdued", "block_info_text_color", "block_label_text_color"),
    "faint": ("input_placeholder_color",),
    "panel": (
        "background_fill_primary",
        "block_background_fill",
        "panel_background_fill",
        "block_label_background_fill",
        "table_odd_background_fill",
    ),
    "raised": (
        "background_fill_secondary",
        "table_even_background_fill",
        "button_secondary_background_fill",
        "code_background_fill",
    ),
    "field": (
        "input_background_fill",
        "input_background_fill_focus",
        "input_background_fill_hover",
        "checkbox_background_color",
        "checkbox_label_background_fill",
    ),
    "line": (
        "border_color_primary",
        "block_border_color",
        "input_border_color",
        "table_border_color",
        "panel_border_color",
        "button_secondary_border_color",
        "checkbox_border_color",
        "checkbox_label_border_color",
        "border_color_accent_subdued",
    ),
    "accent": (
        "input_border_color_focus",
        "border_color_accent",
        "button_primary_background_fill",
        "link_text_color",
        "link_text_color_hover",
        "link_text_color_visited",
        "slider_color",
        "checkbox_background_color_selected",
        "checkbox_border_color_selected",
        "checkbox_label_border_color_selected",
        "loader_color",
    ),
    "accent_hover": ("button_primary_background_fill_hover",),
    "on_accent": ("button_primary_text_color",),
    "accent_soft": (
        "color_accent_soft",
        "button_secondary_background_fill_hover",
        "checkbox_label_background_fill_selected",
        "table_row_focus",
    ),
}


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--pg-{name.replace('_', '-')}:{value};" for name, value in palette.items())


def variables() -> str:
    """The palette as CSS variables, light and dark; served with our own styles."""
    numbers = "--pg-number:var(--font);"  # the digits of IBM Plex Sans are of one width
    numbers += "".join(f"--pg-series-{i}:{colour};" for i, colour in enumerate(LINES))
    return f":root{{{numbers}{_variables(LIGHT)}}}\n:root.dark,.dark{{{_variables(DARK)}}}\n"


def theme() -> gr.themes.Base:
    """Gradio's theme over the palette.

    Regular and bold only: the wheel's SemiBold and Medium files of IBM Plex lack Latin letters.
    """
    base = gr.themes.Base(
        primary_hue=colors.blue,
        secondary_hue=colors.slate,
        neutral_hue=colors.slate,
        spacing_size=sizes.spacing_sm,
        radius_size=sizes.radius_sm,
        text_size=sizes.text_sm,
        font=[fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[fonts.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"],
    )
    tokens: dict[str, Any] = {}
    for colour, names in _TOKENS.items():
        for name in names:
            tokens[name], tokens[f"{name}_dark"] = LIGHT[colour], DARK[colour]
    return base.set(
        block_border_width="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_radius="4px",
        container_radius="4px",
        block_padding="0px",
        block_title_text_size="11.5px",
        block_title_text_weight="400",
        block_label_text_size="11.5px",
        block_info_text_size="11px",
        layout_gap="10px",
        form_gap_width="0px",
        input_padding="6px 9px",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_text_size="13px",
        input_radius="3px",
        input_shadow="none",
        input_shadow_dark="none",
        input_shadow_focus="0 0 0 1px *input_border_color_focus",
        input_shadow_focus_dark="0 0 0 1px *input_border_color_focus",
        button_large_radius="3px",
        button_medium_radius="3px",
        button_small_radius="3px",
        button_large_padding="9px 14px",
        button_large_text_size="13px",
        button_large_text_weight="700",
        button_border_width="1px",
        button_transition="background-color .12s",
        button_transform_hover="none",
        **tokens,
    )
