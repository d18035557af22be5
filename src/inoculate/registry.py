"""Finds plugins by file name.

``inoculate/learners/protonet.py`` is the learner ``protonet``. Folders inside a plugin
package only group (``domains/flows/pcap.py`` is the domain ``pcap``). A module is imported
only when it is asked for, so its optional dependencies stay optional.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Generic, TypeVar

from inoculate.agent import Agent
from inoculate.domain import Domain
from inoculate.errors import MissingExtraError, NotFoundError
from inoculate.finding import Renderer
from inoculate.learner import Learner
from inoculate.rule import RuleLanguage

T = TypeVar("T")


class Registry(Generic[T]):
    """The plugins of one package.

    Args:
        package: dotted name of the folder that holds one plugin a file.
        base: class every plugin derives from.

    Example:
        >>> LEARNERS.load("k_nearest").__name__
        'KNearest'
    """

    def __init__(self, package: str, base: type[T]) -> None:
        self.package = package
        self.base = base

    @cache  # noqa: B019 - registries are module constants and live as long as the process
    def _modules(self) -> dict[str, str]:
        return dict(sorted(_walk(self.package)))

    def names(self) -> list[str]:
        """Return all names in alphabetical order, importing no plugin."""
        return list(self._modules())

    def load(self, name: str) -> type[T]:
        """Return the class behind a name.

        Raises:
            NotFoundError: there is no such file.
            MissingExtraError: the file needs a package that is not installed.
        """
        kind = self.package.rpartition(".")[2]
        if name not in self._modules():
            raise NotFoundError(f"no {kind} plugin {name!r}; have {', '.join(self.names())}")
        try:
            module = importlib.import_module(self._modules()[name])
        except ModuleNotFoundError as err:
            if (err.name or "").startswith("inoculate"):
                raise  # a typo in our own import, not a missing extra
            raise MissingExtraError(f"{name} needs the package {err.name}") from err
        found = [
            obj
            for _, obj in inspect.getmembers(module, inspect.isclass)
            if issubclass(obj, self.base) and obj.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise TypeError(f"{module.__name__} must define one {self.base.__name__}, not {found}")
        return found[0]


def _walk(package: str) -> Iterator[tuple[str, str]]:
    spec = importlib.util.find_spec(package)
    for path in (spec.submodule_search_locations or []) if spec else []:
        for module in pkgutil.iter_modules([path]):
            if module.name.startswith("_"):
                continue
            dotted = f"{package}.{module.name}"
            if module.ispkg:
                yield from _walk(dotted)
            else:
                yield module.name, dotted


AGENTS: Registry[Agent] = Registry("inoculate.agents", Agent)  # type: ignore[type-abstract]
LEARNERS: Registry[Learner] = Registry("inoculate.learners", Learner)  # type: ignore[type-abstract]
DOMAINS: Registry[Domain] = Registry("inoculate.domains", Domain)  # type: ignore[type-abstract]
RENDERERS: Registry[Renderer] = Registry("inoculate.render", Renderer)  # type: ignore[type-abstract]
RULES: Registry[RuleLanguage] = Registry("inoculate.rules", RuleLanguage)  # type: ignore[type-abstract]
