"""The console: a web page for people, which uses the services as any other client does."""
