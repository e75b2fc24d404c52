"""Print what is installed beside this Python as constraints, without the marks of local builds."""

from importlib.metadata import distributions

OURS = {"affectstream", "pip", "setuptools", "wheel"}
pins = {d.metadata["Name"].lower(): d.version.split("+")[0] for d in distributions()}
print("# Versions the tests ran with; `make lock` writes this file.")  # noqa: T201
for name in sorted(pins.keys() - OURS):
    print(f"{name}=={pins[name]}")  # noqa: T201
