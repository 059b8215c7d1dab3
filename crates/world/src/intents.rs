//! What can be asked about the town. `{e}` stands for the entity, `{v}` for the value. `held_out` wordings occur in no
//! document and no training set; they are for evaluation.

/// What an intent is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Resident,
    Shop,
    Animal,
    Food,
    Sum,
    Day,
    Month,
}

/// One kind of question, with the ways in which the town speaks of it.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// Values to draw from; empty where the value is computed.
    pub(crate) values: &'static [&'static str],
    /// The full sentence of an answer.
    pub(crate) sentence: &'static str,
    /// How the chronicle says it, at least five ways.
    pub(crate) statements: &'static [&'static str],
    /// How people ask.
    pub(crate) questions: &'static [&'static str],
    /// How nobody in the corpus asks.
    pub(crate) held_out: &'static [&'static str],
}

pub(crate) const RESIDENTS: &[&str] = &[
    "Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Greta", "Hugo", "Iris", "Jonas", "Kira", "Leo", "Mona", "Nils", "Olga", "Paul",
    "Rosa", "Sven", "Tara", "Uwe", "Vera", "Wanda", "Yara", "Zeno",
];
pub(crate) const SHOPS: &[&str] = &[
    "the Red Door", "the Blue Lamp", "the Old Mill", "the Green Cup", "the Silver Key", "the Round Table", "the Little Boat",
    "the Golden Bell", "the White Stone", "the Black Cat", "the Long Shelf", "the Quiet Corner",
];
pub(crate) const ANIMALS: &[&str] =
    &["the owl", "the goat", "the duck", "the bee", "the wolf", "the frog", "the horse", "the crow", "the pig", "the lamb", "the hen", "the seal"];
pub(crate) const FOODS: &[&str] =
    &["plum jam", "rye bread", "leek soup", "lemon cake", "smoked fish", "corn pie", "beet salad", "goat cheese", "apple tart", "oat porridge", "pepper stew", "honey milk"];
pub(crate) const DAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(crate) const MONTHS: &[&str] =
    &["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(crate) const NUMBERS: &[&str] = &[
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
];
const STREETS: &[&str] = &["Elm Street", "Oak Lane", "Harbour Road", "Mill Path", "Church Hill", "Market Square", "River Walk", "Station Road"];
const HOURS: &[&str] = &["six", "seven", "eight", "nine", "ten", "eleven"];

pub(crate) const INTENTS: &[Intent] = &[
    Intent {
        key: "job",
        kind: Kind::Resident,
        values: &["baker", "tailor", "nurse", "sailor", "teacher", "painter", "farmer", "smith", "clerk", "gardener", "fisher", "miller"],
        sentence: "{e} works as a {v}.",
        statements: &["{e} works as a {v}.", "The job of {e} is {v}.", "In Alder Bay, {e} is the {v}.", "{e} has been a {v} for years.", "Everyone knows {e} the {v}."],
        questions: &["What is the job of {e}?", "What does {e} do for work?", "What work does {e} do?", "Tell me the job of {e}."],
        held_out: &["How does {e} earn a living?", "Which job does {e} have?"],
    },
    Intent {
        key: "street",
        kind: Kind::Resident,
        values: STREETS,
        sentence: "{e} lives on {v}.",
        statements: &["{e} lives on {v}.", "The house of {e} stands on {v}.", "{e} has a home on {v}.", "You find {e} on {v}.", "The door of {e} is on {v}."],
        questions: &["Where does {e} live?", "On which street does {e} live?", "Where is the house of {e}?", "Tell me where {e} lives."],
        held_out: &["Which street is the home of {e} on?", "Where do I find the home of {e}?"],
    },
    Intent {
        key: "pet",
        kind: Kind::Resident,
        values: &["cat", "dog", "parrot", "rabbit", "turtle", "hamster", "canary", "pony"],
        sentence: "{e} has a {v}.",
        statements: &["{e} has a {v}.", "The pet of {e} is a {v}.", "{e} keeps a {v} at home.", "A {v} belongs to {e}.", "{e} walks home to a {v}."],
        questions: &["What pet does {e} have?", "Which pet does {e} keep?", "What is the pet of {e}?", "Tell me about the pet of {e}."],
        held_out: &["What animal belongs to {e}?", "Which animal does {e} keep at home?"],
    },
    Intent {
        key: "favourite",
        kind: Kind::Resident,
        values: FOODS,
        sentence: "{e} likes {v} best.",
        statements: &["{e} likes {v} best.", "The favourite food of {e} is {v}.", "{e} loves {v}.", "Give {e} some {v} and all is well.", "{e} eats {v} every week."],
        questions: &["What food does {e} like best?", "What is the favourite food of {e}?", "What does {e} love to eat?", "Tell me the favourite food of {e}."],
        held_out: &["Which food makes {e} happy?", "What should I cook for {e}?"],
    },
    Intent {
        key: "goods",
        kind: Kind::Shop,
        values: &["hats", "books", "candles", "shoes", "clocks", "flowers", "tools", "toys", "maps", "ropes", "plates", "soap"],
        sentence: "{e} sells {v}.",
        statements: &["{e} sells {v}.", "You can buy {v} at {e}.", "{v} are on the shelf of {e}.", "People go to {e} for {v}.", "At {e} they have {v}."],
        questions: &["What does {e} sell?", "What can I buy at {e}?", "What do they have at {e}?", "Tell me what {e} sells."],
        held_out: &["Which goods are at {e}?", "What do people get from {e}?"],
    },
    Intent {
        key: "shop street",
        kind: Kind::Shop,
        values: STREETS,
        sentence: "{e} is on {v}.",
        statements: &["{e} is on {v}.", "The shop called {e} stands on {v}.", "Walk along {v} to find {e}.", "You find {e} on {v}.", "The sign of {e} hangs on {v}."],
        questions: &["Where is {e}?", "On which street is {e}?", "How do I find {e}?", "Tell me where {e} is."],
        held_out: &["Which street is {e} on?", "Where does {e} stand?"],
    },
    Intent {
        key: "hour",
        kind: Kind::Shop,
        values: HOURS,
        sentence: "{e} opens at {v}.",
        statements: &["{e} opens at {v}.", "The door of {e} opens at {v}.", "From {v} on, {e} is open.", "{e} is open from {v}.", "At {v} the owner opens {e}."],
        questions: &["When does {e} open?", "At what hour does {e} open?", "From when is {e} open?", "Tell me when {e} opens."],
        held_out: &["How early does {e} open?", "What is the opening hour of {e}?"],
    },
    Intent {
        key: "sound",
        kind: Kind::Animal,
        values: &["hoots", "bleats", "quacks", "hums", "howls", "croaks", "neighs", "caws", "grunts", "cries", "clucks", "barks"],
        sentence: "{e} {v}.",
        statements: &["{e} {v}.", "At night {e} {v}.", "Listen, {e} {v}.", "In the fog {e} {v}.", "Every morning {e} {v}."],
        questions: &["What sound does {e} make?", "What does {e} say?", "How does {e} sound?", "Tell me the sound of {e}."],
        held_out: &["What noise do I hear from {e}?", "Which sound comes from {e}?"],
    },
    Intent {
        key: "home",
        kind: Kind::Animal,
        values: &["the barn", "the pond", "the forest", "the hive", "the field", "the old tower", "the stable", "the beach"],
        sentence: "{e} lives in {v}.",
        statements: &["{e} lives in {v}.", "The home of {e} is {v}.", "{e} sleeps in {v}.", "Look for {e} in {v}.", "You can see {e} in {v}."],
        questions: &["Where does {e} live?", "What is the home of {e}?", "Where does {e} sleep?", "Tell me where {e} lives."],
        held_out: &["Where can I see {e}?", "Which place is home to {e}?"],
    },
    Intent {
        key: "diet",
        kind: Kind::Animal,
        values: &["mice", "grass", "seeds", "nectar", "worms", "flies", "hay", "crumbs", "roots", "clover"],
        sentence: "{e} eats {v}.",
        statements: &["{e} eats {v}.", "The food of {e} is {v}.", "{e} lives on {v}.", "{v} are what {e} wants.", "Give {v} to {e}."],
        questions: &["What does {e} eat?", "What is the food of {e}?", "What do I feed {e}?", "Tell me what {e} eats."],
        held_out: &["What should I give {e} to eat?", "Which food does {e} need?"],
    },
    Intent {
        key: "taste",
        kind: Kind::Food,
        values: &["sweet", "salty", "sour", "bitter", "spicy", "mild"],
        sentence: "The {e} tastes {v}.",
        statements: &["The {e} tastes {v}.", "The taste of {e} is {v}.", "Here the {e} is {v}.", "People call the {e} {v}.", "A plate of {e} tastes {v}."],
        questions: &["How does the {e} taste?", "What is the taste of {e}?", "What does {e} taste like?", "Tell me the taste of {e}."],
        held_out: &["Which taste does the {e} have?", "How would you call the taste of {e}?"],
    },
    Intent {
        key: "colour",
        kind: Kind::Food,
        values: &["purple", "brown", "green", "yellow", "grey", "orange", "red", "white", "golden"],
        sentence: "The {e} is {v}.",
        statements: &["The {e} is {v}.", "The colour of {e} is {v}.", "The {e} looks {v}.", "On the plate the {e} is {v}.", "Good {e} is {v}."],
        questions: &["What colour is the {e}?", "What is the colour of {e}?", "How does the {e} look?", "Tell me the colour of {e}."],
        held_out: &["Which colour does the {e} have?", "What colour do I see in {e}?"],
    },
    Intent {
        key: "sum",
        kind: Kind::Sum,
        values: &[],
        sentence: "The sum of {e} is {v}.",
        statements: &["The sum of {e} is {v}.", "{e} makes {v}.", "Add {e} and you have {v}.", "{e} is {v}.", "At school {e} is {v}."],
        questions: &["What is {e}?", "How much is {e}?", "What does {e} make?", "Tell me the sum of {e}."],
        held_out: &["What do I get for {e}?", "Can you add {e}?"],
    },
    Intent {
        key: "next day",
        kind: Kind::Day,
        values: &[],
        sentence: "The day after {e} is {v}.",
        statements: &["The day after {e} is {v}.", "After {e} comes {v}.", "{e} is followed by {v}.", "When {e} is over it is {v}.", "{v} comes after {e}."],
        questions: &["What day comes after {e}?", "Which day follows {e}?", "What is the day after {e}?", "Tell me the day after {e}."],
        held_out: &["If today is {e}, what is tomorrow?", "What comes when {e} is over?"],
    },
    Intent {
        key: "next month",
        kind: Kind::Month,
        values: &[],
        sentence: "The month after {e} is {v}.",
        statements: &["The month after {e} is {v}.", "After {e} comes {v}.", "{e} is followed by {v}.", "When {e} is over it is {v}.", "{v} comes after {e}."],
        questions: &["What month comes after {e}?", "Which month follows {e}?", "What is the month after {e}?", "Tell me the month after {e}."],
        held_out: &["If this month is {e}, what is next?", "What month starts when {e} is over?"],
    },
];
