"""Systems as Gymnasium environments: ids ``netrollout/<System>-v0``.

They are registered when the package is imported, so nothing but Gymnasium's registration is imported here.
"""

from gymnasium.envs import registration

IDS = {f"netrollout/MeshS{number}-v0": f"mesh-s{number}" for number in (1, 2, 3, 4)}
IDS["netrollout/Serverless-v0"] = "serverless"


def register() -> None:
    """Register the ids; twice does no harm."""
    for name, system in IDS.items():
        if name not in registration.registry:
            registration.register(name, entry_point="netrollout.catalog:make_env", kwargs={"name": system})


register()

__all__ = ["IDS", "register"]
