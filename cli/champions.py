"""Which domains have a champion, as the command line needs to know."""

from __future__ import annotations

from voiceforge.errors import UsageError
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, Settings


def champions(settings: Settings) -> list[str]:
    """Domains of the registry whose alias `champion` names a version."""
    from lifecycle.model_registry import existing_registry
    from serving.registry import CHAMPION

    registry = existing_registry(settings)
    if registry is None:
        return []
    return [name for name in registry.domains() if registry.get_alias(name, CHAMPION)]


def served_domain(settings: Settings, domain: str | None) -> str:
    """The domain to serve: the one asked for, or the only one that has a champion.

    Raises:
        UsageError: it is unknown, has no champion, or there is not exactly one to choose.
    """
    found = champions(settings)
    known = load_params(settings.project / PARAMS_FILE)
    if domain is None and len(found) == 1:
        return found[0]
    if domain is None:
        has = f"there are champions of {', '.join(found)}" if found else "no domain has a champion"
        raise UsageError(
            f"Name a domain with --domain: {has}. `voiceforge run --domain DOMAIN` makes one."
        )
    if domain not in known:
        raise UsageError(f"There is no domain {domain!r}. There are: {', '.join(known)}.")
    if domain not in found:
        raise UsageError(
            f"{domain} has no champion yet. `voiceforge run --domain {domain}` makes one; "
            "`voiceforge status` says why an earlier run did not."
        )
    return domain
