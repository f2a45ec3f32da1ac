"""The pictures of runs as the page shows them: linked, or in the page itself."""

import base64
from pathlib import Path

from PIL import Image

from .results import link

DOTS = 1.7  # of 200 per inch in a pixel: the 7.5 points of a figure's words become 12 pixels


def picture(results_dir, run, name, embed=False):
    """What the page shows of a figure; None, and a note in the run, where it cannot be read."""
    path = Path(results_dir) / "figures" / f"{name}.png"
    try:
        with Image.open(path) as image:
            image.load()
            (width, height), words = image.size, image.info
        inside = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() if embed else ""
    except Exception as error:  # an image that is damaged can raise nearly anything
        note = f"figures/{path.name} cannot be read ({type(error).__name__})."
        run["notes"].extend([note] if note not in run["notes"] else [])
        return None
    title = words.get("Title") or name.removeprefix(run["stem"]).strip("_").replace("_", " ")
    return {
        "uri": inside or link(results_dir, f"figures/{name}.png"),
        "width": round(width / DOTS),
        "height": round(height / DOTS),
        "title": title,
        "variant": run["variant"],
        "alt": words.get("Description") or f"Figure: {title}. The table below has the numbers.",
    }
