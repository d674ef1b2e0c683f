"""A message as HTML that mail readers show: tables, styles inline, one column on a phone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.notices.escaping import in_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from triggerfish.notice import Severity
    from triggerfish.notices.message import Section

COLOURS: dict[Severity, str] = {
    "critical": "#b3141d",
    "high": "#b3541e",
    "warning": "#8a6100",
    "medium": "#8a6100",
    "low": "#33658a",
    "info": "#4b5563",
}
"""Each with a contrast of 4.5 or more to white."""

_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,Menlo,Consolas,'Liberation Mono',monospace"
_WRAP = "overflow-wrap:anywhere;word-break:break-word"

_HEAD = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">'
    '<meta name="color-scheme" content="light"><title>Triggerfish</title><style>'
    "@media (max-width:480px){.label,.value{display:block!important;width:auto!important}"
    ".label{padding-bottom:0!important}.value{padding-top:2px!important}.box{padding:0 12px"
    " 12px!important}.bar{padding:14px 12px!important}}</style></head>"
)


def page(
    sections: Sequence[Section], titles_only: Sequence[Section], notes: Sequence[str], foot: str
) -> str:
    """The whole page. Styles are inline: what some readers drop of `<style>` only narrows it."""
    return "\n".join(_lines(sections, titles_only, notes, foot))


def _lines(
    sections: Sequence[Section], titles_only: Sequence[Section], notes: Sequence[str], foot: str
) -> Iterator[str]:
    yield _HEAD
    yield f'<body style="margin:0;padding:0;background:#f3f4f6;color:#111827;{_FONT}">'
    yield (
        '<div style="max-width:680px;margin:0 auto;padding:12px;font-size:15px;line-height:1.45">'
    )
    for note in notes:
        yield (
            '<p style="margin:0 0 12px;padding:10px 14px;background:#fff7e0;border-left:4px solid'
            f' #8a6100;{_WRAP}">{in_html(note)}</p>'
        )
    for section in sections:
        yield from _section(section)
    if titles_only:
        yield '<div style="background:#fff;padding:12px 20px;margin:0 0 12px">'
        for section in titles_only:
            text = f"[{section.severity}] {section.title}"
            counted = f" ({section.counted})" if section.counted else ""
            yield f'<p style="margin:4px 0;{_WRAP}">{in_html(text + counted)}</p>'
        yield "</div>"
    yield f'<p style="margin:8px 4px;color:#6b7280;font-size:13px;{_WRAP}">{in_html(foot)}</p>'
    yield "</div></body></html>"


def _section(section: Section) -> Iterator[str]:
    colour = COLOURS[section.severity]
    yield '<div style="background:#fff;border-radius:6px;overflow:hidden;margin:0 0 12px">'
    yield f'<div class="bar" style="background:{colour};color:#fff;padding:16px 20px">'
    yield (
        '<div style="font-size:12px;font-weight:700;letter-spacing:.06em;text-transform:uppercase">'
        f"{in_html(section.severity)}</div>"
    )
    yield (
        f'<div style="font-size:19px;font-weight:600;line-height:1.3;margin:2px 0 4px;{_WRAP}">'
        f"{in_html(section.title)}</div>"
    )
    yield f'<div style="font-size:13px;{_WRAP}">{in_html(section.about)}</div></div>'
    yield '<div class="box" style="padding:4px 20px 16px">'
    if section.counted:
        yield (
            f'<p style="margin:12px 0 4px;font-weight:600">Happened {in_html(section.counted)}</p>'
        )
    yield from _table("The latest" if section.counted else "", section.facts)
    for piece in section.evidence:
        yield (
            f'<pre style="margin:12px 0 0;padding:10px 12px;background:#f3f4f6;font-size:13px;'
            f'white-space:pre-wrap;{_WRAP};{_MONO}">{in_html(chr(10).join(piece))}</pre>'
        )
    yield from _table("New since the last message", section.new)
    yield from _table("Most often", section.top)
    yield from _link(section)
    yield (
        f'<p style="margin:14px 0 0;color:#6b7280;font-size:12px;{_WRAP}">Key:'
        f" {in_html(section.key)}</p></div></div>"
    )


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not rows:
        return
    if heading:
        yield f'<p style="margin:16px 0 0;font-weight:600">{in_html(heading)}</p>'
    yield (
        '<table role="presentation" cellpadding="0" cellspacing="0" style="width:100%;'
        'border-collapse:collapse;margin:8px 0 0">'
    )
    for label, value in rows:
        yield (
            '<tr><td class="label" style="width:130px;padding:5px 12px 5px 0;color:#4b5563;'
            f'vertical-align:top;{_WRAP}">{in_html(label)}</td>'
            f'<td class="value" style="padding:5px 0;vertical-align:top;{_WRAP}">'
            f"{in_html(value)}</td></tr>"
        )
    yield "</table>"


def _link(section: Section) -> Iterator[str]:
    if section.link:
        yield (
            f'<p style="margin:16px 0 0"><a href="{in_html(section.link)}" style="display:'
            "inline-block;padding:11px 18px;background:#111827;color:#fff;text-decoration:none;"
            'border-radius:4px">Look further</a></p>'
        )
    elif section.dead_link:
        yield f'<p style="margin:16px 0 0;{_WRAP}">{in_html(section.dead_link)}</p>'
