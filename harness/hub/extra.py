"""huggingface_hub, which is installed by the extra ``hub`` and imported late."""

from __future__ import annotations

from types import ModuleType

from harness.errors import HarnessError


def import_huggingface_hub() -> ModuleType:
    """The package.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise HarnessError(
            f"a model card needs huggingface_hub, which is not installed ({error}):"
            " pip install 'robustness-harness[hub]'"
        ) from None
    return huggingface_hub
