"""What any report is made of, whatever it reports on.

- `words`: how numbers and names are worded.
- `terminal`: names in a terminal, whatever its encoding.
- `progress`, `time_left`: how far a piece of work is, and how much longer it takes.
- `schedule`: from spans of time to what can be drawn of them.
- `files`: texts into a folder, so that nobody ever sees half of one.
- `made`: when a page was made, and by what, its last line.
- `tile`, `chart`: a headline figure and a drawing, as a page takes them.
- `html`: the template engine that pages are made with, and `page.html.j2`, which they extend.
- `style`, `svg`: the look of all drawings, and how one becomes a part of a page; `rows`, `lines`, `heat`: the drawings.

Nothing is imported here: matplotlib and the template engine take half a second, and most commands write no report.
It must not know what is reported, nor any other room.
"""

__all__: list[str] = []
