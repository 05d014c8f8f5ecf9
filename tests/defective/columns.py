"""Defects of YOLO rows: keypoints and other columns after the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from defective.table import ASK, CERTAIN, FEWER, RIGHT, defect, with_records

if TYPE_CHECKING:
    from defective.writers import Yolo

# Keypoints


def write_keypoints(draft: Yolo, count: int, dimensions: int) -> None:
    """Append points, with or without visibility, to the boxes; missing points are zeros."""
    some_missing = draft.rng.random() < 0.5
    for row, image, box in with_records(draft).records:
        left, top, right, bottom = box.edges
        for _ in range(count):
            x, y = (
                draft.rng.uniform(left, right) / image.size[0],
                draft.rng.uniform(top, bottom) / image.size[1],
            )
            point = [f"{x:.6f}", f"{y:.6f}", str(draft.rng.choice((1, 2)))]
            missing = some_missing and draft.rng.random() < 0.3
            row.extend((["0.000000", "0.000000", "0"] if missing else point)[:dimensions])


@defect(CERTAIN)
def keypoints_with_shape_yolo(draft: Yolo) -> None:
    """Rows end with as many keypoints as the data.yaml says."""
    count, dimensions = draft.rng.randint(1, 9), draft.rng.choice((2, 3))
    draft.layout = "ultralytics"
    draft.yaml = f"kpt_shape: [{count}, {dimensions}]\n"
    write_keypoints(draft, count, dimensions)


@defect(ASK | FEWER)
def keypoints_of_another_shape_yolo(draft: Yolo) -> None:
    """The data.yaml says 2 numbers per point; rows have 3, or one more point."""
    count = draft.rng.randint(2, 5)
    draft.layout = "ultralytics"
    draft.yaml = f"kpt_shape: [{count}, 2]\n"
    write_keypoints(draft, *draft.rng.choice(((count, 3), (count + 1, 2))))
    draft.remedy = ["--yolo-rows", "box"]


@defect(ASK | FEWER)
def keypoints_without_shape_yolo(draft: Yolo) -> None:
    """Rows end with keypoints, and nothing says so."""
    write_keypoints(draft, draft.rng.randint(1, 9), draft.rng.choice((2, 3)))
    draft.remedy = ["--yolo-rows", "box"]


# Rows of other lengths, which are valid


@defect(CERTAIN)
def confidence_yolo(draft: Yolo) -> None:
    """Rows end with a confidence."""
    for row, _, _ in with_records(draft).records:
        row.append(f"{draft.rng.random():.4f}")


@defect(CERTAIN)
def track_id_yolo(draft: Yolo) -> None:
    """Rows end with a track ID."""
    for number, (row, _, _) in enumerate(with_records(draft).records, 1):
        row.append(str(number))


@defect(RIGHT)
def polygons_yolo(draft: Yolo) -> None:
    """Rows are polygons of 3 to 12 points."""
    for row, image, box in with_records(draft).records:
        left, top, right, bottom = box.edges
        count = draft.rng.randint(0, 8)
        points = [
            (draft.rng.uniform(left, right), draft.rng.uniform(top, bottom)) for _ in range(count)
        ]
        corners = [(left, draft.rng.uniform(top, bottom)), (draft.rng.uniform(left, right), top)]
        corners += (
            [(right, bottom)]
            if draft.rng.random() < 0.5
            else [(right, points[0][1] if points else top), (left, bottom)]
        )
        points += corners
        draft.rng.shuffle(points)
        row[1:] = [
            f"{part / side:.10f}"
            for point in points
            for part, side in zip(point, image.size, strict=True)
        ]
