"""What a chat template writes around the contents of a chat: rendered once with placeholders, then cut at them.

Knows neither tokens nor whose template it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eat_worker.errors import ConfigurationError, EngineUnavailable

_HOLE = "\ue000{}\ue001"  # private-use characters no chat template writes

Render = Callable[[list[dict[str, str]]], str]
"""Writes messages (role, content) and the opening of the next answer as one text."""


def template_pieces(roles: Sequence[str], render: Render, refusal: type[Exception]) -> list[str]:
    """The template's own text: before the first content, between contents, after the last; one more than `roles`.

    Raises ConfigurationError when the template has no place for such a chat; `refusal` is what `render` raises then.
    EngineUnavailable goes on as it is.
    """
    try:
        text = render([{"role": role, "content": _HOLE.format(at)} for at, role in enumerate(roles)])
    except EngineUnavailable:
        raise
    except refusal as error:
        raise ConfigurationError(f"the model's chat template refuses a chat of {', '.join(roles)}: {error}") from error
    pieces = []
    for at in range(len(roles)):
        piece, hole, text = text.partition(_HOLE.format(at))
        if not hole:
            raise ConfigurationError("the model's chat template drops messages; use an instruct model")
        pieces.append(piece)
    return [*pieces, text]
