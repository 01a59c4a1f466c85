// Before the first paint: the theme that was chosen, or the system's.
const dark = matchMedia("(prefers-color-scheme: dark)");
const apply = () => {
  const chosen = localStorage.getItem("theme");
  document.documentElement.classList.toggle("dark", chosen ? chosen === "dark" : dark.matches);
};
dark.addEventListener("change", apply);
addEventListener("storage", apply);
addEventListener("theme", apply);
apply();
