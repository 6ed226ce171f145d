"""How pages look and are pressed: the menu of a narrow screen, targets for fingers, charts."""
