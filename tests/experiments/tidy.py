"""Whether the words of a figure collide or leave the paper; for the tests of all figures."""

import itertools

import matplotlib as mpl
from matplotlib.text import Text


def ink(figure):
    """Bounding boxes of every visible text and of every published value, in pixels."""
    figure.set_dpi(200)
    figure.canvas.draw()
    renderer, boxes = figure.canvas.get_renderer(), []
    unseen = {label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for label in beyond(axis)}
    for text in figure.findobj(lambda a: isinstance(a, Text) and a.get_visible() and a.get_text().strip()):
        if text not in unseen:
            boxes.append((text.get_text(), text.get_window_extent(renderer)))
    for i, line in enumerate(line for ax in figure.axes for line in ax.lines if line.get_marker() == "D"):
        for x, y in line.get_transform().transform(line.get_xydata()):
            half = line.get_markersize() * 200 / 72 * 0.75
            boxes.append((f"published {i}", mpl.transforms.Bbox.from_extents(x - half, y - half, x + half, y + half)))
    return boxes


def beyond(axis):
    """Labels of ticks outside the view, which matplotlib keeps but does not draw."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def assert_tidy(figure):
    boxes = [(name, box) for name, box in ink(figure) if box.width > 0 and box.height > 0]
    width, height = figure.get_size_inches() * 200
    for name, box in boxes:
        assert box.x0 >= 0, f"{name!r} leaves the paper at the left"
        assert box.x1 <= width, f"{name!r} leaves the paper at the right"
        assert box.y0 >= 0, f"{name!r} leaves the paper below"
        assert box.y1 <= height, f"{name!r} leaves the paper above"
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        wide = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
        high = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert min(wide, high) <= 0.5, f"{a!r} and {b!r} overlap by {wide:.0f} × {high:.0f} pixels"
