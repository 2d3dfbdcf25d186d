"""Plans in a folder, each under the sha256 of all that it depends on.

`KEY/` holds the plan and `plan.json`, which says what it was made of and the plan's own sha256;
both appear at once or not at all. Timings that a flavour keeps lie beside, by flavour, version and
card.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.engines.tensorrt.errors import ForeignPlanError
from voiceforge.errors import IntegrityError, StorageError
from voiceforge.files import (
    new_folder,
    read_json,
    sha256_file,
    sha256_json,
    storage_errors,
    write_bytes,
    write_json,
)

ABOUT = "plan.json"
_SHOWN = 16  # characters of a key that name its folder


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan depends on.

    Attributes:
        graph: name of the ONNX file.
        onnx_sha256: of that file.
        flavour: "tensorrt" or "tensorrt_rtx".
        version: of it, to the last figure: no other loads the plan.
        compute_capabilities: that it was built for, sorted.
        profile_sha256: of its optimization profile.
    """

    graph: str
    onnx_sha256: str
    flavour: str
    version: str
    compute_capabilities: tuple[str, ...]
    profile_sha256: str

    @property
    def key(self) -> str:
        """Hex sha256 over everything but the file's name."""
        return sha256_json({k: v for k, v in asdict(self).items() if k != "graph"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that lies in a folder and is what was built.

    Attributes:
        size: bytes.
        seconds: that its build took.
    """

    path: Path
    origin: Origin
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans in a folder."""

    folder: Path

    def find(self, origin: Origin) -> Plan | None:
        """The plan of that origin, verified; None where it was not built yet.

        Raises:
            IntegrityError: it is there and not what was built; names the file.
        """
        place = self._place(origin)
        if not place.exists():
            return None
        plan = read_plan(place)
        if plan.origin.key != origin.key:
            raise IntegrityError(
                f"{place / ABOUT} is of another plan than its folder is named for. Remove {place} "
                "and build the plan again."
            )
        return plan

    def store(self, origin: Origin, content: bytes, seconds: float, about: Any) -> Plan:
        """Keep a plan, whole or not at all.

        Args:
            about: what else plan.json is to say, for people: the profile in figures.

        Raises:
            StorageError: the disk is full or read-only.
        """
        name = f"{Path(origin.graph).stem}.plan"
        with new_folder(self._place(origin)) as folder:
            write_bytes(folder / name, content)
            fields = {
                "key": origin.key,
                **asdict(origin),
                "file": name,
                "sha256": sha256_file(folder / name),
                "size": len(content),
                "seconds": round(seconds, 2),
                "profile": about,
            }
            write_json(folder / ABOUT, fields)
        return Plan(self._place(origin) / name, origin, len(content), seconds)

    def timings(self, origin: Origin) -> bytes:
        """Of earlier builds for the same; b"" before the first."""
        path = self._timings(origin)
        with storage_errors(path):
            return path.read_bytes() if path.is_file() else b""

    def keep_timings(self, origin: Origin, timings: bytes) -> None:
        """For later builds; b"" is nothing to keep."""
        if timings:
            write_bytes(self._timings(origin), timings)

    def _place(self, origin: Origin) -> Path:
        return self.folder / origin.key[:_SHOWN]

    def _timings(self, origin: Origin) -> Path:
        targets = "-".join(origin.compute_capabilities)
        return self.folder / f"timings-{origin.flavour}-{origin.version}-{targets}.bin"


def read_plan(folder: Path) -> Plan:
    """Read and verify one plan's folder.

    Raises:
        IntegrityError: plan.json is none, or the plan is not what was built; names the file.
    """
    try:
        fields: Any = read_json(folder / ABOUT)
        origin = Origin(
            **{name: fields[name] for name in Origin.__dataclass_fields__}
            | {"compute_capabilities": tuple(fields["compute_capabilities"])}
        )
        path, size = folder / Path(fields["file"]).name, int(fields["size"])
        known, seconds = str(fields["sha256"]), float(fields["seconds"])
        stated = fields["key"]
    except (StorageError, TypeError, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{folder / ABOUT} does not describe a plan ({error}). Remove {folder} and build the "
            "plan again."
        ) from error
    if stated != origin.key:
        raise IntegrityError(
            f"{folder / ABOUT} was edited: its key is not that of what it says. Remove {folder} "
            "and build the plan again."
        )
    if not path.is_file() or sha256_file(path) != known:
        what = "is not what was built (its sha256 differs)" if path.is_file() else "is missing"
        raise IntegrityError(f"{path} {what}. Remove {folder} and build the plan again.")
    return Plan(path, origin, size, seconds)


def check_plan(plan: Plan, flavour: str, version: str, capability: str) -> None:
    """Refuse a plan that was built for something else than what is to load it.

    Args:
        flavour: name of the one that is here.
        capability: of the card that is here, such as "8.9".

    Raises:
        ForeignPlanError: says what it was built for.
    """
    built = plan.origin
    if (built.flavour, built.version) != (flavour, version):
        was, here = f"{built.flavour} {built.version}", f"{flavour} {version}"
    elif capability not in built.compute_capabilities:
        was = f"compute capability {', '.join(built.compute_capabilities)}"
        here = capability
    else:
        return
    raise ForeignPlanError(
        f"{plan.path} was built for {was}, and here is {here}. Build it again of the same engine "
        "with `voiceforge engine plan`."
    )
