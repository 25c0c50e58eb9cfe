"""Output of a study: text, tables, files, charts, a page. No number is computed here."""
