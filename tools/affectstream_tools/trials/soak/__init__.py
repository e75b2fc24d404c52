"""A day of the live path, in minutes: what it holds, and whether it still hears as well."""
