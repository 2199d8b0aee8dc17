"""Rules in the forms that other programs read."""

from workers.export.formats import FORMATS, Format, export_rule, format_named

__all__ = ["FORMATS", "Format", "export_rule", "format_named"]
