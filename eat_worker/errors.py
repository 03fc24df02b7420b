"""Every deliberate error of eat_worker: what it is called, how the command line ends, whether a retry can help.

EatError                    1   anything below
├── ConfigurationError     78   a setting, an option or a combination of them cannot work
│   ├── SchemaError        78   the database is older or newer than this program
│   └── ModelMissing       78   the weights are not on this machine
├── CorpusError             1   a corpus file cannot be read at all
├── NotFound                4   no such run, document or model
├── ModelError              1   weights could not be fetched
│   └── DigestMismatch      1   weights are not the ones the catalog names
├── StoreUnavailable       69   the database does not answer (retryable)
│   └── DiskFull           69   the database cannot grow (retryable)
├── BrokerUnavailable      69   the broker does not answer (retryable)
├── SiteUnavailable        69   a public site does not answer, or asks to come back later (retryable)
├── EngineError             1   a model could not answer
│   ├── EngineUnavailable  69   the model server does not answer (retryable)
│   ├── EngineBroken       70   the process's model is lost, every later call would fail (retryable, elsewhere)
│   ├── TooLong             1   the text does not fit the model's context
│   ├── TooLarge            1   one chat alone does not fit the device's memory
│   └── NumericFault        1   the model's logits are not numbers
└── LeaseLost               1   another worker owns the document now

A message says where, what, and what to do: "the database is at 0003, this eat needs 0005; run: eat db upgrade".
"""

from __future__ import annotations


class EatError(Exception):
    """Base of all deliberate errors. `exit_code` ends the command line; `code` is stored with a failed document."""

    exit_code: int = 1
    retryable: bool = False  # True: the fault lies in the surroundings, not in the document
    code: str = "error"


class ConfigurationError(EatError):
    """A setting, an option or a combination of them cannot work."""

    exit_code = 78
    code = "configuration"


class SchemaError(ConfigurationError):
    """The database is older or newer than this program."""

    code = "schema"


class ModelMissing(ConfigurationError):
    """The weights are not on this machine."""

    code = "model_missing"


class CorpusError(EatError):
    """A corpus file cannot be read at all. One bad record is quarantined instead, never raised."""

    code = "corpus"


class NotFound(EatError):
    """No such run, document or model."""

    exit_code = 4
    code = "not_found"


class ModelError(EatError):
    """Weights could not be fetched from any source."""

    code = "model"


class DigestMismatch(ModelError):
    """Weights are not the ones the catalog names."""

    code = "digest_mismatch"


class StoreUnavailable(EatError):
    """The database does not answer."""

    exit_code = 69
    retryable = True
    code = "store_unavailable"


class DiskFull(StoreUnavailable):
    """The database cannot grow; what was committed is intact."""

    code = "disk_full"


class BrokerUnavailable(EatError):
    """The broker does not answer."""

    exit_code = 69
    retryable = True
    code = "broker_unavailable"


class SiteUnavailable(EatError):
    """A public site does not answer, or asks to come back later; what it has answered is kept."""

    exit_code = 69
    retryable = True
    code = "site_unavailable"


class EngineError(EatError):
    """A model could not answer."""

    code = "engine"


class EngineUnavailable(EngineError):
    """The model server does not answer."""

    exit_code = 69
    retryable = True
    code = "engine_unavailable"


class TooLong(EngineError):
    """The text does not fit the model's context; it is never cut in silence."""

    code = "too_long"


class EngineBroken(EngineError):
    """The process's model is lost (a CUDA error): commit nothing, give the documents back, end the process."""

    exit_code = 70
    retryable = True
    code = "engine_broken"


class TooLarge(EngineError):
    """One chat alone does not fit the device's memory; in a smaller batch it will not either."""

    code = "too_large"


class NumericFault(EngineError):
    """The model's logits are NaN or infinite for this chat, also when it runs alone."""

    code = "numeric_fault"


class LeaseLost(EatError):
    """Another worker owns the document now; whatever this one still wants to write is refused."""

    code = "lease_lost"
