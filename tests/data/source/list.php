<html><body>
<?php
$page = $_GET['page'];
include($page . '.php');

class Items {
    private $db;

    public function find($name) {
        $safe = mysqli_real_escape_string($this->db, $name);
        return $this->db->query("SELECT * FROM items WHERE name = '$safe'");
    }

    public static function show($item) {
        echo "<li>" . htmlspecialchars($item) . "</li>";
    }
}

function run($command) {
    if (empty($command)) {
        return null;
    }
    return shell_exec($command);
}
?>
</body></html>
