"""Equations as MathML, by docutils: no script from elsewhere, and a wrong one is a warning."""

from html import escape
from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

logger = getLogger(__name__)
APPLIED = "<mo>&ApplyFunction;</mo>"  # as in log p, where browsers leave no space


def mathml(node: Any, as_block: bool) -> str:
    try:
        equation = tex2mathml(node.astext(), as_block=as_block)
        return str(equation.replace(APPLIED, APPLIED + '<mspace width="0.17em"/>'))
    except MathError as error:
        logger.warning("%s", error, location=node)
        return escape(node.astext())


def inline(translator: Any, node: Any) -> None:
    translator.body.append(mathml(node, as_block=False))
    raise SkipNode


def display(translator: Any, node: Any) -> None:
    translator.body.append(f'<div class="equation">{mathml(node, as_block=True)}</div>\n')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
