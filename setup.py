"""Puts the presets into the wheel; everything else is in pyproject.toml."""

import os
import pathlib

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPresets(build_py):
    """Copies the folder gin/ to nae_tf/presets, where the package finds it.

    An editable installation reads gin/ itself.
    """

    def run(self):
        """Copy modules, package data and presets."""
        super().run()
        if not self.editable_mode:
            for target, source in self._presets().items():
                self.mkpath(os.path.dirname(target))
                self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """Return what an sdist has to hold."""
        return [*super().get_source_files(), *self._presets().values()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what `run` writes."""
        return [*super().get_outputs(include_bytecode), *self._presets()]

    def get_output_mapping(self) -> dict[str, str]:
        """Return what `run` copies, and from where."""
        return super().get_output_mapping() | self._presets()

    def _presets(self) -> dict[str, str]:
        target = os.path.join(self.build_lib, "nae_tf", "presets")
        return {
            os.path.join(target, path.relative_to("gin")): str(path)
            for path in sorted(pathlib.Path("gin").rglob("*.gin"))
        }


setup(cmdclass={"build_py": BuildWithPresets})
