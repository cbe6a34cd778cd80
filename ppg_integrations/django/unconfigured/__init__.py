"""ENGINE of an alias without a URL: settings can be imported, and using it says what to do."""
