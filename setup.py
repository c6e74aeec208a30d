"""Puts presets and a type marker into the wheel; see pyproject.toml."""

import os
import pathlib

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPresets(build_py):
    """Copies gin/ to nae_tf/presets, and writes nae_tf/py.typed (PEP 561).

    The first screen of the package is for the paper, so neither is kept there.
    An editable installation reads gin/ itself, and its sources are typed.
    """

    def run(self):
        """Copy modules, package data and presets."""
        super().run()
        if not self.editable_mode:
            for target, source in self._presets().items():
                self.mkpath(os.path.dirname(target))
                self.copy_file(source, target)
            pathlib.Path(self._marker()).touch()

    def get_source_files(self) -> list[str]:
        """Return what an sdist has to hold."""
        return [*super().get_source_files(), *self._presets().values()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what `run` writes."""
        written = [*self._presets(), self._marker()]
        return [*super().get_outputs(include_bytecode), *written]

    def get_output_mapping(self) -> dict[str, str]:
        """Return what `run` copies, and from where."""
        return super().get_output_mapping() | self._presets()

    def _marker(self) -> str:
        return os.path.join(self.build_lib, "nae_tf", "py.typed")

    def _presets(self) -> dict[str, str]:
        target = os.path.join(self.build_lib, "nae_tf", "presets")
        return {
            os.path.join(target, path.relative_to("gin")): str(path)
            for path in sorted(pathlib.Path("gin").rglob("*.gin"))
        }


setup(cmdclass={"build_py": BuildWithPresets})
