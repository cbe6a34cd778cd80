"""How a provider's API is spoken to: the parts behind :mod:`ppg_integrations.providers.api`.

Strictly private. httpx and tenacity are imported inside functions here, and nowhere else.
"""
