"""Whether a deployment, as configured now, is still the one that its versions were trained for."""

from __future__ import annotations

from monitor.app.ports import Store
from monitor.app.versions import champion_manifest
from monitor.config.deployment import Deployment
from monitor.domain.version import Manifest
from monitor.errors import ConfigError


def check_deployed(store: Store, config: Deployment) -> None:
    """As `check_contract` for the champion; a deployment that has none may still be anything."""
    if (manifest := champion_manifest(store, config.name)) is not None:
        check_contract(config, manifest)


def check_contract(config: Deployment, manifest: Manifest) -> None:
    """Raise ConfigError when this version was trained for other code, features or another label."""
    if bool(manifest.code) != (config.model.code is not None):
        raise ConfigError(
            f"{config.name}: version {manifest.version} is {manifest.code or 'served elsewhere'}, the configuration "
            f"has {config.model.code or 'scores from elsewhere'}; that is another deployment: give it a new name"
        )
    trained_under, fingerprint = manifest.schema_fingerprint, config.schema_value.fingerprint
    if trained_under != fingerprint:
        raise ConfigError(
            f"{config.name}: the schema's features or label changed since version {manifest.version} was trained "
            f"({trained_under} → {fingerprint}); a changed schema is a new deployment: give it a new name"
        )
