"""The connection that ``PPG_GENERATE`` makes where none can be read: once, and for this machine."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from .entry import titled
from .errors import EnvFileError, PPGError
from .generation import exists, generate_into
from .journal import Journal
from .providers.base import Generated, GenerateRequest
from .providers.labels import label

if TYPE_CHECKING:
    from .credential_cache import Slot
    from .kept import Kept
    from .providers.base import Progress, Provider, Target


def connection(
    slot: Slot,
    provider: Provider,
    target: Target,
    said: list[str],
    progress: Progress,
    *,
    replica: bool = False,
) -> Kept | Generated:
    """The one that was made before, if the provider still has it; else a new one.

    To be called under the slot's lock.

    Args:
        slot: where it is kept.
        said: gets a sentence for the user.

    Raises:
        EnvFileError: it cannot be kept, and nothing was made.
        ProviderError: the provider could not.
    """
    try:
        kept = slot.read()
        if kept is not None and _still_there(provider, target, kept, progress):
            with contextlib.suppress(EnvFileError):  # tells those who wait that somebody looked
                slot.write(kept.id, kept.pooled, kept.direct, kept.replica)
            return kept
        if kept is not None:
            slot.drop()
            said.append(f"{kept.id}, which was made for this machine, does not exist any more")
        slot.check()
        request = GenerateRequest(
            name=label(os.path.basename(provider.settings.folder)), target=target, replica=replica
        )
        made = generate_into(
            provider,
            request,
            Journal(slot.path),
            lambda made: slot.write(made.id, made.pooled, made.direct, made.replica),
            progress,
        )
    except PPGError as error:
        slot.note(error)
        raise
    new = f"{provider.title} made the connection {titled(made.id, made.name)} for this machine"
    said += [*made.notes, new]
    return made


def _still_there(provider: Provider, target: Target, kept: Kept, progress: Progress) -> bool:
    if "list" not in provider.capabilities:
        return True  # as far as anybody can tell
    progress(f"asking {provider.title}'s API whether {kept.id} still exists")
    return exists(provider, target, Generated(kept.id, kept.id, kept.pooled, kept.direct))
