"""From blueprints to a running stack: template, permissions, artifacts, change set."""
