"""Platforms that run a process for one request, or freeze it between two: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Variable, the platform, and the page that promises the variable. A process there may be frozen
#: or dropped with its connection open, so it must not keep one: the pooler's slot stays taken until
#: the provider's idle limit. (Netlify runs no Python; Knative sets Cloud Run's variable too.)
PLATFORMS: Final = {
    "AWS_LAMBDA_FUNCTION_NAME": (
        "AWS Lambda",
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
    ),
    "K_SERVICE": (
        "Google Cloud Run",
        "https://cloud.google.com/run/docs/container-contract#env-vars",
    ),
    "FUNCTION_TARGET": (
        "Google Cloud Functions",
        "https://cloud.google.com/functions/docs/configuring/env-var",
    ),
    "FUNCTIONS_WORKER_RUNTIME": (
        "Azure Functions",
        "https://learn.microsoft.com/azure/azure-functions/functions-app-settings",
    ),
    "VERCEL": (
        "Vercel",
        "https://vercel.com/docs/environment-variables/system-environment-variables",
    ),
}


def platform(environ: Mapping[str, str]) -> str | None:
    """Name of the serverless platform this process runs on, or None."""
    for variable, (name, _) in PLATFORMS.items():
        if environ.get(variable):
            return name
    return None
