"""Systems as Gymnasium environments: ids ``netrollout/<System>-v0``.

They are registered when the package is imported, so nothing but Gymnasium's registration is imported here.
"""

from gymnasium.envs import registration

from netrollout.family import families


def register_ids() -> None:
    """Register the ids that the families declare; twice does no harm."""
    for name, system in ids().items():
        if name not in registration.registry:
            registration.register(name, entry_point="netrollout.catalog:make_env", kwargs={"name": system})


def ids() -> dict[str, str]:
    """Return the ids and the systems that they mean."""
    return {name: system for family in families() for name, system in family.ids.items()}


__all__ = ["ids", "register_ids"]
