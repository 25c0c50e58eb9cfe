"""Reports: documents as data, the renderers of three media, and the drawings in them.

- `document`: sections, tables, figures, tiles; `terminal` and `html` write them, `markdown` their tables.
- `words`: how numbers and names are worded; `files`: texts into a folder, so that nobody ever sees half of one.
- `progress`: how far a piece of work is, and how much longer it takes.
- `schedule`: from spans of time to what can be drawn of them.
- `style`: the look of all drawings, and how one becomes a part of a page; `rows`, `lines`: the drawings.

Nothing is imported here: matplotlib and the template engine take half a second, and most commands write no report.
"""

__all__: list[str] = []
