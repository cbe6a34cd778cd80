"""``doctor``: the pair in use, asked on the live servers, and the provider's word on its limits."""

from __future__ import annotations

from .. import doctor, preparing, providers
from ..errors import ConfigurationError, ProviderError
from ..pair import ConnectionPair
from ..problems import Problem, problem
from . import named_file, proof
from .context import Context


def diagnose(context: Context) -> doctor.Diagnosis:
    """Probes both endpoints and says what is wrong with them.

    Raises:
        ConfigurationError: there is no pair to probe.
        DriverError: no PostgreSQL driver is installed.
    """
    pair = named_file.pair(context, "doctor")
    context.progress("asking both endpoints")
    limit = proof.deadline(context)
    found = doctor.diagnose(pair, timeout=limit)
    wanted = proof.connect_settings(context).prepared
    lost = preparing.lost(pair, found.pooled, wanted=wanted)
    return found.with_problems((*lost, *_usage(context, pair)))


def _usage(context: Context, pair: ConnectionPair) -> tuple[Problem, ...]:
    """What the provider's API tells of limits; that it does not is no fault of the pair."""
    try:
        settings = context.settings
        name = context.provider or pair.provider or providers.detect_in(settings)
        if name not in providers.NAMES or not settings.find(*providers.tokens(name)):
            return ()
        provider = context.load(name)
        if "usage" not in provider.capabilities:
            return ()
        context.progress(f"asking {provider.title} for limits and use")
        return provider.usage(context.target(provider), in_use=context.in_use(pair))
    except (ProviderError, ConfigurationError) as error:
        return (problem("usage-unknown", text=error.message, hint=error.hint),)
