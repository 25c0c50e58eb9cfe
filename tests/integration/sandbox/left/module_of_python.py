"""A module that Python finds by itself."""

import os
import site


def leave() -> None:
    os.makedirs(site.getusersitepackages())
    open(f"{site.getusersitepackages()}/usercustomize.py", "w").close()


def look() -> bool:
    return os.path.exists(f"{site.getusersitepackages()}/usercustomize.py")
