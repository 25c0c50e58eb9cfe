"""What people see of a study: words, tables, files, charts, a page. No number is computed here."""
