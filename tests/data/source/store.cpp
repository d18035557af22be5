#include <string>
#include <vector>

namespace shop {

class Store {
public:
    explicit Store(int n) : items_(n) {}
    int at(unsigned i) const { return items_[i]; }
    void put(unsigned i, int value);

private:
    std::vector<int> items_;
};

void Store::put(unsigned i, int value) {
    if (i >= items_.size()) {
        throw std::out_of_range("no such place");
    }
    items_[i] = static_cast<int>(value);
}

}  // namespace shop
