"""Parts of a page that go on while somebody looks: `{% live %}<div id="…" data-refresh="5">…</div>{% endlive %}`.

The script asks for the page again and is answered with these parts alone. Without script they stand in the page.
"""

from __future__ import annotations

from django import template
from django.template.base import Node, NodeList, Parser, Token
from django.utils.safestring import SafeString

register = template.Library()


class _Live(Node):
    def __init__(self, inside: NodeList) -> None:
        self._inside = inside

    def render(self, context: template.Context) -> SafeString:
        part = self._inside.render(context)
        if (request := context.get("request")) is not None:
            request.__dict__.setdefault("jobs_live_parts", []).append(part)
        return part


@register.tag
def live(parser: Parser, token: Token) -> _Live:
    """One element with an id, which is shown anew while it has `data-refresh`: every so many seconds."""
    inside = parser.parse(("endlive",))
    parser.delete_first_token()
    return _Live(inside)
