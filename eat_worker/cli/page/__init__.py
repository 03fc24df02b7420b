"""A report as one HTML file and as pictures; Jinja2, altair and vl-convert are imported only here (extra `report`)."""
