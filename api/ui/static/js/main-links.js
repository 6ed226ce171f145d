// On a narrow screen the links at the top scroll sideways: the one of this page is in sight.
document.querySelector(".main-links [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
