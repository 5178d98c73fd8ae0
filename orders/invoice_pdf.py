"""What an invoice looks like. The same facts give the same bytes; reads no database and no clock."""

from __future__ import annotations

from datetime import date
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

from orders.invoice_facts import VAT_PERCENT, Facts, money, vat_cents

FONTS = Path(__file__).parent / "fonts"
REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
SELLER = ("Jobsite Shop", "Baustrasse 1, 10115 Berlin, Germany", "VAT number DE000000000")
INK, SOFT, AMBER = colors.HexColor("#1d2830"), colors.HexColor("#56636c"), colors.HexColor("#f0a81c")
FRAME_PADDING = 6


def draw(facts: Facts) -> bytes:
    """The invoice as a PDF, with its fonts in it."""
    _register_fonts()
    target = BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=A4,
        # The frame pads its text, and the table is as wide as the text.
        leftMargin=22 * mm - FRAME_PADDING,
        rightMargin=22 * mm - FRAME_PADDING,
        topMargin=20 * mm,
        bottomMargin=24 * mm,
        title=f"Invoice {facts.number}",
        author=SELLER[0],
        lang="en-GB",
        invariant=1,
    )
    document.build(_story(facts), onFirstPage=_furniture, onLaterPages=_furniture)
    return target.getvalue()


def _story(facts: Facts) -> list[Any]:
    return [
        _text(SELLER[0], _style(15, bold=True)),
        Spacer(0, 16 * mm),
        *(_text(line, _style(10)) for line in facts.address),
        Spacer(0, 14 * mm),
        _text(f"Invoice {facts.number}", _style(20, bold=True)),
        Spacer(0, 4 * mm),
        _text(f"{_day(facts.dated)}. Order {facts.order_number}.", _style(10, SOFT)),
        Spacer(0, 8 * mm),
        _table(facts),
        Spacer(0, 6 * mm),
        _text(f"Paid by card on {_day(facts.paid_on)}. Nothing is left to pay. Thank you.", _style(10)),
    ]


def _table(facts: Facts) -> Table:
    right, bold = _style(9.5, right=True), _style(9.5, bold=True)
    rows = [[_text(head, bold) for head in ("Item", "Product")]]
    rows[0] += [_text(head, _style(9.5, bold=True, right=True)) for head in ("Quantity", "Each", "Total")]
    for line in facts.lines:
        figures = (str(line.quantity), money(line.unit_price_cents), money(line.total_cents))
        words = (_text(word, _style(9.5)) for word in (line.sku, line.name))
        rows.append([*words, *(_text(figure, right) for figure in figures)])
    vat = vat_cents(facts.total_cents)
    sums = [("Net", facts.total_cents - vat), (f"VAT {VAT_PERCENT} %", vat), ("Total", facts.total_cents)]
    for word, cents in sums:
        style = _style(9.5, bold=word == "Total", right=True)
        rows.append(["", "", "", _text(word, style), _text(money(cents), style)])
    table = Table(rows, colWidths=[23 * mm, 62 * mm, 21 * mm, 30 * mm, 30 * mm], repeatRows=1)
    table.setStyle(
        [
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, INK),
            ("LINEBELOW", (0, 1), (-1, -4), 0.3, SOFT),
            ("LINEABOVE", (3, -1), (-1, -1), 0.8, INK),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ]
    )
    return table


def _furniture(canvas: Any, document: Any) -> None:
    """The bar above and the seller below, on each page."""
    width, height = A4
    canvas.saveState()
    canvas.setFillColor(AMBER)
    canvas.rect(0, height - 4 * mm, width, 4 * mm, stroke=0, fill=1)
    canvas.setFillColor(SOFT)
    canvas.setFont(REGULAR, 8)
    canvas.drawString(22 * mm, 13 * mm, " · ".join(SELLER))
    canvas.drawRightString(width - 22 * mm, 13 * mm, f"Page {document.page}")
    canvas.restoreState()


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    # A paragraph reads its text as markup.
    return Paragraph(escape(text), style)


def _style(size: float, colour: Any = INK, *, bold: bool = False, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "text",
        fontName=BOLD if bold else REGULAR,
        fontSize=size,
        leading=size * 1.4,
        textColor=colour,
        **({"alignment": TA_RIGHT} if right else {}),
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


@cache
def _register_fonts() -> None:
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, FONTS / f"{name}.ttf"))
