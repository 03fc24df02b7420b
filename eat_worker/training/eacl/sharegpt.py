"""EACL chats in the ShareGPT form, which LLaMA-Factory and others import as they are.

Whole chats, one per line: what is trained elsewhere on them is what this product asks. Knows that form; knows no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from eat_worker.training.eacl.chats import Conversation

_FROM = {"user": "human", "assistant": "gpt"}


def sharegpt(chats: Iterable[Conversation]) -> Iterator[dict[str, Any]]:
    """One record per chat: `conversations` of human and gpt in turn, the last of them the words, and `system`."""
    for chat in chats:
        system = "\n".join(message.content for message in chat.opening if message.role == "system")
        turns = [
            {"from": _FROM[message.role], "value": message.content}
            for message in chat.opening
            if message.role != "system"
        ]
        for turn in chat.turns:
            turns += [{"from": "human", "value": turn.question}, {"from": "gpt", "value": turn.answer}]
        yield {"conversations": turns, "system": system}


def dataset_info(name: str, file_name: str) -> dict[str, Any]:
    """The entry of LLaMA-Factory's `dataset_info.json` under which it finds the file."""
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    columns = {"messages": "conversations", "system": "system"}
    return {name: {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}}
