"""Reports: documents as data, renderers, and charts.

- `document`: sections, tables, figures, tiles; `terminal` and `html` write them.
- `words`: numbers and names as text; `files`: files that are written in one step.
- `progress`: progress of a piece of work, and an estimate of the time left.
- `schedule`: spans of time, prepared for a drawing.
- `charts`: lines, named rows and heat maps, drawn by matplotlib.

Nothing is imported here, as most commands write no report.
"""

__all__: list[str] = []
